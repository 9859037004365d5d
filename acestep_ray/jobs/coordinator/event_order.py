"""Which changes come too late to be reported, if several coordinators share a store."""

from collections import OrderedDict

from acestep_ray.jobs.store.records import ChangeKind, JobChange

REMEMBERED = 10_000
"""Number of jobs whose last change is remembered."""
_RANKS = {
    ChangeKind.SUBMITTED: 0,
    ChangeKind.STARTED: 1,
    ChangeKind.PLANNED: 1,
    ChangeKind.REQUEUED: 2,
    ChangeKind.ENDED: 3,
    ChangeKind.DELETED: 4,
}
_ENDED = _RANKS[ChangeKind.ENDED]


class EventOrder:
    """The last change of each job, by attempt and kind.

    A coordinator knows its own changes at once, and those of its peers a little later. So the news
    that a peer has started a job may come after this coordinator has cancelled it: to readers, the
    job would run again.
    """

    def __init__(self) -> None:
        self._last: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def accepts(self, change: JobChange) -> bool:
        """Whether the change is not older than one of the same job that was accepted before."""
        last = self._last.get(change.job_id, (0, 0))
        rank = _RANKS[change.kind]
        if 0 < rank < _ENDED and not change.attempt:  # an earlier release does not name the attempt
            return last[1] < _ENDED
        this = (max(change.attempt, last[0]) if rank >= _ENDED else change.attempt, rank)
        if this < last:
            return False
        self._last[change.job_id] = this
        self._last.move_to_end(change.job_id)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        return True
