#!/bin/bash
# A raydet run on machines that Slurm gives: starts Ray on the allocation, runs the command there, and cleans up.
#
#   sbatch clusters/slurm.sh raydet train my_config.py --num-workers 8 --use-gpu --storage /shared/runs --name first
#
# Change the #SBATCH lines to your site, or give the same as arguments of sbatch. Every node runs one Ray node, with all the
# CPUs and GPUs of the allocation there. The nodes must see the same file system, and raydet must be on the path
# (RAYDET_ACTIVATE="source /shared/raydet/bin/activate").
#
# When Slurm takes the nodes back (preemption, time limit) the run is told, writes its checkpoint within the grace time
# (fault_tolerance.grace of the config, 30 s unless it says more), and the job queues again; it then goes on with --resume,
# for which the command needs a --name.
#
# Nobody else on the cluster can use this Ray: it asks for a token that only this job has.

#SBATCH --job-name=raydet
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=2
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@180

set -euo pipefail

GRACE=${RAYDET_GRACE:-150}          # seconds that the run has for its checkpoint; less than the @180 above
START=${RAYDET_START:-120}          # seconds within which the head must answer
PORT=${RAYDET_PORT:-$((20000 + ${SLURM_JOB_ID:-0} % 20000))}
steps=()
driver=
told=

if [ $# -eq 0 ]; then
    echo "usage: sbatch $0 raydet train CONFIG ..." >&2
    exit 2
fi
if [ -n "${RAYDET_ACTIVATE:-}" ]; then
    eval "$RAYDET_ACTIVATE"
fi

# Other jobs may run on the same nodes: files and ports are this job's own.
export RAY_AUTH_MODE=token RAY_TMPDIR=/tmp/raydet-${SLURM_JOB_ID:-0}
# What raydet sets of Ray's own switches, as for clusters that it starts itself.
export RAY_USAGE_STATS_ENABLED=0 RAY_DATA_DISABLE_PROGRESS_BARS=1 RAY_worker_niceness=0
export RAY_health_check_period_ms=3000 RAY_health_check_timeout_ms=4000 RAY_health_check_failure_threshold=4
RAY_AUTH_TOKEN=$(python3 -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN

# shellcheck disable=SC2329  # called by a trap
clean_up() {
    trap - EXIT TERM INT USR1
    # the workers first, so that the head does not wait for them
    for ((i = ${#steps[@]} - 1; i >= 0; i--)); do
        kill -TERM "${steps[i]}" 2>/dev/null || true
    done
    for step in "${steps[@]}"; do
        wait "$step" 2>/dev/null || true
    done
    rm -rf "$RAY_TMPDIR"
}

# Slurm wants the nodes back: the run saves, then the job queues again.
# shellcheck disable=SC2329  # called by a trap
give_back() {
    told=yes
    echo "raydet: Slurm takes the nodes back; waiting at most $GRACE s for a checkpoint"
    if [ -n "$driver" ]; then
        kill -TERM "$driver" 2>/dev/null || true
        for ((i = 0; i < GRACE; i++)); do
            kill -0 "$driver" 2>/dev/null || break
            sleep 1
        done
        kill -KILL "$driver" 2>/dev/null || true
    fi
}

# start_ray NODE FLAGS...: one Ray node, in the background, for as long as this job lives.
start_ray() {
    local node=$1
    shift
    srun --nodes=1 --ntasks=1 --cpus-per-task="$cpus" --nodelist="$node" --overlap --export=ALL \
        ray start --block --num-cpus="$cpus" "${gpus[@]}" --labels=pool=train \
        --min-worker-port=0 --max-worker-port=0 "$@" &
    steps+=($!)
}

wait_for_head() {
    for ((i = 0; i < START; i++)); do
        if ray status --address "$address" >/dev/null 2>&1; then
            return 0
        fi
        kill -0 "${steps[0]}" 2>/dev/null || break
        sleep 1
    done
    echo "raydet: the head on $head did not answer within $START s" >&2
    return 1
}

cpus=${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}
gpus=()
if [ -n "${SLURM_GPUS_ON_NODE:-}" ]; then
    gpus=(--num-gpus="$SLURM_GPUS_ON_NODE")
fi
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
ip=$(srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap hostname -I | awk '{print $1}')
address=$ip:$PORT

trap clean_up EXIT
trap give_back USR1 TERM
trap 'exit 130' INT

start_ray "$head" --head --port="$PORT" --node-ip-address="$ip" --dashboard-host=127.0.0.1 \
    --dashboard-port=$((PORT + 1)) --dashboard-agent-listen-port=$((PORT + 2)) --ray-client-server-port=$((PORT + 3))
wait_for_head
for node in "${nodes[@]:1}"; do
    start_ray "$node" --address="$address" --dashboard-agent-listen-port=0
done

command=("$@")
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
    command+=(--resume)
fi
echo "raydet: Ray on ${#nodes[@]} nodes at $address; running ${command[*]}"
RAY_ADDRESS=$address "${command[@]}" &
driver=$!
code=0
wait "$driver" || code=$?
if [ -n "$told" ]; then
    wait "$driver" || true # the first wait ended with the signal
    clean_up
    echo "raydet: queueing again as restart $((${SLURM_RESTART_COUNT:-0} + 1))"
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
fi
exit "$code"
