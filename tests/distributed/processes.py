"""Programs that tests start, and what they need."""

import socket
import time

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",
}


def wait_for(condition, seconds, process):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"the program ended with {process.returncode}"
        assert time.monotonic() < end, f"nothing happened within {seconds} s"
        time.sleep(0.2)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_cpus(at_least, patience=20):
    """CPUs that the cluster has left, as soon as they are so many or patience, in seconds, ends."""
    import ray

    end = time.monotonic() + patience
    while ray.available_resources().get("CPU", 0) < at_least and time.monotonic() < end:
        time.sleep(0.1)
    return ray.available_resources().get("CPU", 0)
