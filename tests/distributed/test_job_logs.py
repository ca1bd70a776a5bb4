from types import SimpleNamespace

import aiohttp

from raydet.distributed import jobs


class Cluster:
    """A client whose connection breaks once in the middle of a log."""

    def __init__(self):
        self.connections = 0

    async def tail_job_logs(self, job_id):
        self.connections += 1
        for text in ["one\n", "two\n", "three\n"][: 2 if self.connections == 1 else 3]:
            yield text
        if self.connections == 1:
            raise aiohttp.ServerDisconnectedError

    def get_job_status(self, job_id):
        return SimpleNamespace(value="RUNNING" if self.connections == 1 else "SUCCEEDED")


def test_follow_goes_on_where_a_connection_broke(monkeypatch):
    monkeypatch.setattr(jobs, "_PAUSE", 0.0)
    cluster = object.__new__(jobs.Jobs)
    cluster._client, cluster.address = Cluster(), "http://head:8265"
    written = []
    assert cluster.follow("job", written.append) == "SUCCEEDED"
    assert "".join(written) == "one\ntwo\nthree\n"
