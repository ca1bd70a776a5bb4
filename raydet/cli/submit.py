"""`raydet submit`: train as a job of a running cluster, and look after such jobs."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raydet.cli.tables import local_time, table
from raydet.distributed.words import duration

if TYPE_CHECKING:
    from raydet.distributed.jobs import Jobs

EXAMPLES = """examples:
  raydet submit my_config.py --num-workers 8 --use-gpu --storage s3://bucket/runs
  raydet submit my_config.py --storage /shared/runs --env NCCL_DEBUG=INFO --py-module ../my_plugin --dry-run
  raydet submit list
  raydet submit logs my_config_20260131_120000_3fa9 --follow
  raydet submit status|stop my_config_20260131_120000_3fa9

All options of `raydet train` may stand behind CONFIG. The job starts in a copy of the working directory, without data,
checkpoints, secrets and .git; RAY_API_SERVER_ADDRESS and RAY_AUTH_TOKEN are used as Ray uses them."""

VERBS = ("list", "status", "logs", "stop")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.allow_abbrev = False
    _add_options(parser)
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="CONFIG [TRAIN OPTIONS] | list | status JOB | logs JOB | stop JOB",
        help="what to train and how, or what to do about jobs",
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--address", metavar="URL", help="server that takes jobs (RAY_API_SERVER_ADDRESS, port 8265)")
    parser.add_argument("--working-dir", default=".", metavar="DIR", help="folder that travels with the job (.)")
    parser.add_argument("--py-module", action="append", default=[], metavar="DIR", help="package that travels as well")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="variable of all processes")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="files that stay here")
    parser.add_argument("--include", action="append", default=[], metavar="PATTERN", help="files that travel after all")
    parser.add_argument("--metadata", action="append", default=[], metavar="NAME=VALUE", help="kept with the job")
    parser.add_argument("--program", default="raydet", metavar="COMMAND", help="how the head calls raydet (raydet)")
    parser.add_argument("--no-wait", action="store_true", help="do not follow the log")
    parser.add_argument("--follow", action="store_true", help="with logs: until the job ends")
    parser.add_argument("--dry-run", action="store_true", help="check all, print the equivalent ray command, and end")


def run(args: argparse.Namespace) -> int:
    """Submit a job, or do what the verb says."""
    args, words = _parse(args)
    if not words:
        raise ValueError(f"what shall be submitted? give a CONFIG, or one of {', '.join(VERBS)}")
    if words[0] in VERBS:
        return _look_after(args, words[0], words[1:])
    return _submit(args, words)


def _parse(args: argparse.Namespace) -> tuple[argparse.Namespace, list[str]]:
    """Take the options of a job out of the words, wherever they stand; the rest is for `raydet train`."""
    parser = argparse.ArgumentParser("raydet submit", add_help=False, allow_abbrev=False)
    _add_options(parser)
    for action in parser._actions:
        action.default = argparse.SUPPRESS  # what stood before CONFIG keeps its value
    found, words = parser.parse_known_args(args.words)
    for name, value in vars(found).items():
        before = getattr(args, name)
        setattr(args, name, [*before, *value] if isinstance(before, list) else value)
    return args, words


def _submit(args: argparse.Namespace, words: list[str]) -> int:
    from raydet.distributed.jobs import Jobs

    request = _request(args, words)
    if args.dry_run:
        print(request.ray_command())
        return 0
    jobs = Jobs(args.address)
    print(f"submitting to {jobs.address}", file=sys.stderr)
    job_id = jobs.submit(request)
    print(f"job {job_id}: `raydet submit logs|status|stop {job_id}`")
    return 0 if args.no_wait else _follow(jobs, job_id)


def _request(args: argparse.Namespace, words: list[str]) -> Any:
    """The job for a command line of `raydet train`, after it has been checked here."""
    from raydet.distributed.job_package import JobPackage, parse_env
    from raydet.distributed.jobs import JobRequest
    from raydet.distributed.storage import unique_name

    working_dir = Path(args.working_dir)
    package = JobPackage(
        working_dir,
        [Path(module) for module in args.py_module],
        parse_env(args.env),
        args.exclude,
        args.include,
    )
    training = _checked(words)
    words = [_config_word(training.config, working_dir), *_without(words, training.config)]
    name = training.name or unique_name(Path(training.config).stem)
    if training.name is None and training.work_dir is None and not training.resume:
        words += ["--name", name]
    job_id = unique_name(Path(training.config).stem) if training.name or training.work_dir else name
    metadata = {"config": training.config, "run": name, **parse_env(args.metadata)}
    command = [*shlex.split(args.program), "train", *words]
    return JobRequest(command, package, job_id, metadata, args.address)


def _checked(words: list[str]) -> argparse.Namespace:
    """The arguments of the training, if the head would take them.

    Raises:
        ValueError: the run would be lost with the job, or could not start as one.
    """
    from raydet.cli import train
    from raydet.config import Config

    parser = argparse.ArgumentParser("raydet submit", usage="raydet submit CONFIG [TRAIN OPTIONS]", allow_abbrev=False)
    train.add_arguments(parser)
    training = parser.parse_args(words)
    if training.address or training.local:
        raise ValueError("a job joins the cluster that runs it; leave out --local, and give --address once")
    place = training.storage or training.work_dir
    if place is None or ("://" not in place and not Path(place).is_absolute()):
        raise ValueError(
            f"a job's own folder vanishes with it, so its run needs a storage that stays, got {place!r}: "
            "--storage s3://bucket/runs or an absolute path that all nodes share"
        )
    # Its plug-ins are for the cluster, and need not be importable here.
    cfg = Config.fromfile(training.config, import_custom_modules=False, trust=training.trust_config)
    cfg.merge_from_dict(training.cfg_options)
    return training


def _config_word(config: str, working_dir: Path) -> str:
    """The config as the job names it; names of shipped configs stay as they are."""
    from raydet.distributed.job_package import path_in_package

    return path_in_package(config, working_dir) if Path(config).expanduser().is_file() else config


def _without(words: list[str], word: str) -> list[str]:
    """The words without the first one like `word`."""
    position = words.index(word)
    return words[:position] + words[position + 1 :]


def _follow(jobs: Jobs, job_id: str) -> int:
    try:
        ended = jobs.follow(job_id, _write)
    except KeyboardInterrupt:
        print(f"\nthe job goes on; `raydet submit stop {job_id}` ends it", file=sys.stderr)
        return 130
    print(f"job {job_id}: {ended.lower()}")
    return 0 if ended == "SUCCEEDED" else 1


def _write(text: str) -> None:
    print(text, end="", flush=True)


def _look_after(args: argparse.Namespace, verb: str, names: list[str]) -> int:
    from raydet.distributed.jobs import Jobs

    if len(names) != (verb != "list"):
        raise ValueError(f"raydet submit {verb} takes {'no job' if verb == 'list' else 'one JOB'}, got {names}")
    jobs = Jobs(args.address)
    if verb == "list":
        print(_listing(jobs))
    elif verb == "status":
        print(_details(jobs, names[0]))
    elif verb == "stop":
        print(f"job {names[0]}: {'told to stop' if jobs.stop(names[0]) else 'had ended before'}")
    elif args.follow:
        return _follow(jobs, names[0])
    else:
        _write(jobs.logs(names[0]))
    return 0


def _listing(jobs: Jobs) -> str:
    rows = [(job.submission_id, job.status.value.lower(), *_times(job), job.entrypoint) for job in jobs.all()]
    return table(("JOB", "STATE", "STARTED", "DURATION", "COMMAND"), rows) if rows else f"no jobs at {jobs.address}"


def _details(jobs: Jobs, job_id: str) -> str:
    job = jobs.details(job_id)
    started, spent = _times(job)
    facts = {"state": job.status.value.lower(), "started": started, "duration": spent, "command": job.entrypoint}
    facts.update({name: value for name, value in (job.metadata or {}).items() if name != "job_submission_id"})
    return "\n".join([f"{name:<10}{value}" for name, value in facts.items()] + ([job.message] if job.message else []))


def _times(job: Any) -> tuple[str, str]:
    """When a job started, and how long it took if it has ended."""
    if not job.start_time:
        return "-", "-"
    ended = job.end_time
    return local_time(job.start_time / 1000), duration((ended - job.start_time) / 1000) if ended else "-"
