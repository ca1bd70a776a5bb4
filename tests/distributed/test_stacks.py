"""The stacks of other processes, stopped ones as well."""

import os
import signal
import time

import pytest

from raydet.distributed.stacks import listen, stacks_of


def wait_in_this_function():
    while True:
        time.sleep(0.05)


@pytest.fixture
def child():
    receive, report = os.pipe()
    pid = os.fork()
    if pid == 0:
        listen()
        os.write(report, b"x")
        wait_in_this_function()
    os.read(receive, 1)
    yield pid
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def test_stacks_of_a_process_that_works_name_its_functions_and_leave_it_alone(child):
    texts = stacks_of({3: child}, kill=False)
    assert "wait_in_this_function" in texts[3]
    assert os.waitpid(child, os.WNOHANG) == (0, 0)


def test_stacks_of_a_stopped_process_are_taken_as_it_dies(child):
    os.kill(child, signal.SIGSTOP)
    os.waitpid(child, os.WUNTRACED)
    texts = stacks_of({0: child}, kill=True)
    assert "T (stopped)" in texts[0]
    assert "wait_in_this_function" in texts[0]
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def test_stacks_of_a_process_that_is_gone_say_so():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert stacks_of({0: pid}, kill=True) == {0: f"process {pid}: gone\n"}
