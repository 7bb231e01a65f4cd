"""CronJobs and the Jobs they start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def next_schedule(schedule: str, after: float) -> float:
    """Return when a daily schedule (`minute hour * * *`, UTC) is next due after a time in seconds since 1970."""
    minute, hour = (int(field) for field in schedule.split()[:2])
    moment = datetime.fromtimestamp(after, UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    if moment.timestamp() <= after:
        moment += timedelta(days=1)
    return moment.timestamp()


def last_schedules(schedule: str, before: float, count: int) -> list[float]:
    """Return when a daily schedule was last due, `count` times, oldest first."""
    upcoming = next_schedule(schedule, before)
    return [upcoming - days * timedelta(days=1).total_seconds() for days in range(count, 0, -1)]
