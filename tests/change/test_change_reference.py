"""Image references: what the registries' grammar allows, and what is said of the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.change.images import ImageReference, ImageReferenceError, parse_image, tag_span

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("nginx", ("", "nginx", "", "")),
        ("nginx:1.27", ("", "nginx", "1.27", "")),
        ("library/nginx", ("", "library/nginx", "", "")),
        (
            "registry.example/shop/user-service:v2.1.0",
            ("registry.example", "shop/user-service", "v2.1.0", ""),
        ),
        ("registry.example:5000/shop:v2", ("registry.example:5000", "shop", "v2", "")),
        ("localhost/lab/user-service:v2.0.0", ("localhost", "lab/user-service", "v2.0.0", "")),
        ("localhost:5000/a", ("localhost:5000", "a", "", "")),
        ("[2001:db8::1]:5000/a/b:c", ("[2001:db8::1]:5000", "a/b", "c", "")),
        ("[::1]/a", ("[::1]", "a", "", "")),
        ("HOST/a", ("HOST", "a", "", "")),
        ("a__b/c--d.e_f:T.a-g_1", ("", "a__b/c--d.e_f", "T.a-g_1", "")),
        (f"shop@sha256:{HEX}", ("", "shop", "", f"sha256:{HEX}")),
        (f"r.io/shop:v1@sha256:{HEX}", ("r.io", "shop", "v1", f"sha256:{HEX}")),
        (f"shop@multihash+base58:{'b' * 32}", ("", "shop", "", f"multihash+base58:{'b' * 32}")),
        ("shop:" + "t" * 128, ("", "shop", "t" * 128, "")),
        ("host:5000", ("", "host", "5000", "")),
    ],
)
def test_well_formed(text, parts):
    assert parse_image(text) == ImageReference(*parts)


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("", "empty"),
        (" shop:v1", "white space"),
        ("shop: v1", "' '"),
        ("shöp", "'ö'"),
        ("https://registry.example/shop:v1", "URL"),
        ("Shop:v1", "capital"),
        ("registry.example/Shop:v1", "capital"),
        ("shop:", "tag"),
        ("shop:-v1", "'-v1'"),
        ("shop:v1:v2", "'v1:v2'"),
        ("shop:" + "t" * 129, "129"),
        ("registry.example/", "names no image"),
        (":v1", "names no image"),
        ("a//b", "two slashes"),
        ("a/b/", "two slashes"),
        ("a._b", "'a._b'"),
        ("-shop", "'-shop'"),
        ("registry.example:port/shop", "port"),
        ("registry.example:70000/shop", "port"),
        ("registry.example:" + "9" * 5000 + "/shop", "is no port"),
        ("-bad-.example/shop", "host"),
        ("shop@", "digest"),
        ("shop@sha256", "digest"),
        ("shop@sha256:abc", "64"),
        (f"shop@sha256:{'G' * 64}", "64"),
        ("shop@md5:abc", "at least 32"),
        (HEX, "identifier"),
        ("a" * 256, "255"),
    ],
)
def test_malformed_ones_are_told_what_is_wrong(text, about):
    with pytest.raises(ImageReferenceError) as caught:
        parse_image(text)
    assert about in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "mutable"),
    [
        ("shop", True),
        ("shop:latest", True),
        ("shop:main", True),
        ("shop:v1.2", False),
        (f"shop:latest@sha256:{HEX}", False),
    ],
)
def test_tags_that_move(text, mutable):
    assert parse_image(text).mutable is mutable


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("r.io:5000/shop:v1", "v1"),
        ("r.io:5000/shop", ""),
        ("shop:v2@sha256:abc", "v2"),
        ("shop:", ""),
        ("", ""),
    ],
)
def test_the_tag_to_edit(text, selected):
    start, end = tag_span(text)
    assert text[start:end] == selected


@given(st.text(alphabet="aZ0.:/@-_[] \nü", max_size=30) | st.text(max_size=30))
def test_every_text_is_a_reference_or_has_something_wrong_with_it(text):
    start, end = tag_span(text)
    assert 0 <= start <= end <= len(text)
    try:
        found = parse_image(text)
    except ImageReferenceError as error:
        said = str(error)
    else:
        host = f"{found.host}/" if found.host else ""
        tag = f":{found.tag}" if found.tag else ""
        digest = f"@{found.digest}" if found.digest else ""
        assert host + found.path + tag + digest == text
        assert text[start:end] == found.tag
        return
    assert said
    assert "\n" not in said
