"""Jobs of a cluster: submitting one, following its log, asking after it, stopping it."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import logging
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raydet.distributed.access import api_server, explain, use_token_if_there_is_one
from raydet.distributed.job_package import JobPackage
from raydet.distributed.settings import is_verbose
from raydet.transforms.object_store import shown

_PAUSE = 1.0
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True)
class JobRequest:
    """A command to run on a cluster.

    Args:
        command: words of the command, which starts on the head node.
        package: what travels with it.
        job_id: name of the job, new to the cluster.
        metadata: kept with the job, for people.
        address: of the cluster; see `access.api_server`.
    """

    command: Sequence[str]
    package: JobPackage
    job_id: str
    metadata: Mapping[str, str]
    address: str | None = None

    def ray_command(self) -> str:
        """The `ray job submit` that does the same, quoted for a shell, with stars for secrets."""
        env = self.package.shown_env()
        words = ["ray", "job", "submit", "--address", shown(api_server(self.address)), "--submission-id", self.job_id]
        words += ["--working-dir", env.pop("working_dir"), "--runtime-env-json", json.dumps(env)]
        words += ["--metadata-json", json.dumps(self.facts()), "--no-wait", "--", *map(shown, self.command)]
        return shlex.join(words)

    def facts(self) -> dict[str, str]:
        """The metadata, with who submits."""
        return {"user": getpass.getuser(), "program": "raydet", **self.metadata}


class Jobs:
    """The jobs of one cluster.

    Args:
        address: of the cluster; see `access.api_server`.

    Raises:
        ConnectionError: no cluster answers there, or it does not let us in.
    """

    def __init__(self, address: str | None = None) -> None:
        from ray.job_submission import JobSubmissionClient

        self.address = api_server(address)
        use_token_if_there_is_one()
        if not is_verbose():
            for name in ("ray.dashboard", "ray._private.runtime_env", "ray._private.authentication"):
                logging.getLogger(name).setLevel(logging.ERROR)
        with self._explained():
            self._client = JobSubmissionClient(self.address)

    def submit(self, request: JobRequest) -> str:
        """Send the package, start the job and return its id."""
        with self._explained():
            started = self._client.submit_job(
                entrypoint=shlex.join(request.command),
                submission_id=request.job_id,
                runtime_env=request.package.runtime_env(),
                metadata=request.facts(),
            )
        return str(started)

    def status(self, job_id: str) -> str:
        """PENDING, RUNNING, or one of `ENDED`."""
        with self._explained(job_id):
            return str(self._client.get_job_status(job_id).value)

    def details(self, job_id: str) -> Any:
        """All that the cluster knows of a job."""
        with self._explained(job_id):
            return self._client.get_job_info(job_id)

    def all(self) -> list[Any]:
        """Details of all submitted jobs, the newest first."""
        with self._explained():
            found = [job for job in self._client.list_jobs() if job.submission_id]
        return sorted(found, key=lambda job: job.start_time or 0, reverse=True)

    def logs(self, job_id: str) -> str:
        """What a job has printed so far."""
        with self._explained(job_id):
            return str(self._client.get_job_logs(job_id))

    def stop(self, job_id: str) -> bool:
        """Ask a job to end; False if it had ended."""
        with self._explained(job_id):
            return bool(self._client.stop_job(job_id))

    def follow(self, job_id: str, write: Callable[[str], None]) -> str:
        """Write what a job prints until it ends, and return how it ended."""
        seen = 0
        while True:  # a connection may break while the job goes on
            with self._explained(job_id):
                seen = asyncio.run(self._copy(job_id, write, seen))
            status = self.status(job_id)
            if status in ENDED:
                return status
            time.sleep(_PAUSE)

    async def _copy(self, job_id: str, write: Callable[[str], None], skip: int) -> int:
        """Write the log behind its first `skip` characters; returns how many there were."""
        import aiohttp

        position = 0
        with contextlib.suppress(aiohttp.ClientError):
            async for text in self._client.tail_job_logs(job_id):
                fresh = text[max(skip - position, 0) :]
                position += len(text)
                if fresh:
                    write(fresh)
        return max(position, skip)

    @contextlib.contextmanager
    def _explained(self, job_id: str = "") -> Iterator[None]:
        """Errors of Ray in words that say what to do."""
        import requests
        from ray.exceptions import AuthenticationError

        try:
            yield
        except (ConnectionError, requests.ConnectionError, AuthenticationError) as error:
            raise ConnectionError(explain(error, self.address)) from error
        except RuntimeError as error:
            text = str(error)
            if job_id and ("404" in text or "does not exist" in text):
                raise ValueError(f"{shown(self.address)} knows no job {job_id!r}; see `raydet submit list`") from error
            if "No available agent" in text:
                raise ConnectionError(
                    f"{shown(self.address)} cannot start jobs yet: its head is still starting; try again in a moment"
                ) from error
            raise ValueError(f"{shown(self.address)} refused: {text[:500]}") from error
