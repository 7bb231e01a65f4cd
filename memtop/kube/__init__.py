"""One API server: kubeconfig and credentials, requests, list and watch, exec, and what its objects say."""
