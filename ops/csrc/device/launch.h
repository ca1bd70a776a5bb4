// Loops for both devices: a body is called for every index, on the threads of torch's CPU pool or of the GPU.
//
//   launch          `body(index)`; writes only what belongs to the index
//   launch_rows     `body(body.row(row), column)`: the CPU prepares a row once and vectorises over its columns, the GPU
//                   gives every element a thread
//   launch_scatter  `body(index)`; adds to shared elements through `accumulate`: in order on the CPU, atomically on the GPU
//   launch_steps    `body(step, thread, threads)`; one block of threads, all of which end a step before the next begins
//
// Bodies are structs whose functions are marked RAYDET_BODY. `cost` is about how many operations one index takes.
#pragma once

#include "../abi/tensor.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define RAYDET_BODY __host__ __device__ __forceinline__
#else
#define RAYDET_BODY inline __attribute__((always_inline))
#endif

namespace raydet {

// Work that a thread should at least have, in inner operations, for the start of a thread to pay.
constexpr int64_t kGrain = 32768;

// a / b for numbers that are not negative. GPUs divide 64 bits in software; nearly all indices fit 32.
RAYDET_BODY int64_t quotient(int64_t a, int64_t b) {
#ifdef __CUDA_ARCH__
  if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
#endif
  return a / b;
}

struct Parts {
  int64_t whole, rest;
};

// a / b and a % b for numbers that are not negative.
RAYDET_BODY Parts divide(int64_t a, int64_t b) {
  const int64_t whole = quotient(a, b);
  return {whole, a - whole * b};
}

// Calls `function(begin, end)` for parts of `[0, count)`, each of at least `kGrain / cost` indices.
template <typename Function>
void parallel_for(int64_t count, int64_t cost, const Function& function) {
  if (count <= 0) return;
  const int64_t grain = kGrain / (cost > 0 ? cost : 1);
  call(torch_parallel_for(
      0, count, grain > 0 ? grain : 1,
      [](int64_t begin, int64_t end, void* context) { (*static_cast<const Function*>(context))(begin, end); },
      const_cast<void*>(static_cast<const void*>(&function))));
}

#ifdef __CUDACC__

template <typename Body>
__global__ void run_body(int64_t count, Body body) {
  const int64_t step = static_cast<int64_t>(blockDim.x) * gridDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) body(i);
}

// Makes the device of a tensor current for as long as it lives.
class DeviceScope {
 public:
  explicit DeviceScope(const Tensor& tensor) { call(aoti_torch_create_device_guard(tensor.device_index(), &guard_)); }
  ~DeviceScope() { aoti_torch_delete_device_guard(guard_); }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  DeviceGuardHandle guard_ = nullptr;
};

inline cudaStream_t stream_of(const Tensor& tensor) {
  void* stream = nullptr;
  call(aoti_torch_get_current_cuda_stream(tensor.device_index(), &stream));
  return static_cast<cudaStream_t>(stream);
}

inline void check_launch() {
  const cudaError_t error = cudaGetLastError();
  check(error == cudaSuccess, cudaGetErrorString(error));
}

template <typename Body>
void launch(const Tensor& where, int64_t count, int64_t, const Body& body) {
  if (count <= 0) return;
  constexpr int64_t kThreads = 256, kMostBlocks = 1 << 20;
  const int64_t blocks = (count + kThreads - 1) / kThreads;
  DeviceScope scope(where);
  run_body<<<blocks < kMostBlocks ? blocks : kMostBlocks, kThreads, 0, stream_of(where)>>>(count, body);
  check_launch();
}

template <typename Body>
__global__ void run_steps(int64_t steps, Body body) {
  for (int64_t step = 0; step < steps; ++step) {
    body(step, threadIdx.x, blockDim.x);
    __syncthreads();
  }
}

template <typename Body>
void launch_steps(const Tensor& where, int64_t steps, const Body& body) {
  if (steps <= 0) return;
  DeviceScope scope(where);
  run_steps<<<1, 512, 0, stream_of(where)>>>(steps, body);
  check_launch();
}

template <typename Body>
struct EveryElement {
  int64_t columns;
  Body body;

  RAYDET_BODY void operator()(int64_t index) const {
    const int64_t row = quotient(index, columns);
    body(body.row(row), index - row * columns);
  }
};

template <typename Body>
void launch_rows(const Tensor& where, int64_t rows, int64_t columns, int64_t cost, const Body& body) {
  launch(where, rows * columns, cost, EveryElement<Body>{columns, body});
}

template <typename Body>
void launch_scatter(const Tensor& where, int64_t count, int64_t cost, const Body& body) {
  launch(where, count, cost, body);
}

#else

template <typename Body>
void launch(const Tensor&, int64_t count, int64_t cost, const Body& body) {
  parallel_for(count, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

template <typename Body>
void launch_rows(const Tensor&, int64_t rows, int64_t columns, int64_t cost, const Body& body) {
  parallel_for(rows, columns * cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto row = body.row(i);
#pragma GCC ivdep
      for (int64_t j = 0; j < columns; ++j) body(row, j);
    }
  });
}

// In order on one thread: sums come out the same every time.
template <typename Body>
void launch_scatter(const Tensor&, int64_t count, int64_t, const Body& body) {
  for (int64_t i = 0; i < count; ++i) body(i);
}

// Threads take turns, so that bodies meet the same division of work as on the GPU.
template <typename Body>
void launch_steps(const Tensor&, int64_t steps, const Body& body) {
  constexpr int64_t kThreads = 4;
  for (int64_t step = 0; step < steps; ++step)
    for (int64_t thread = 0; thread < kThreads; ++thread) body(step, thread, kThreads);
}

#endif

// Adds to an element that other indices may add to as well.
template <typename T>
RAYDET_BODY void accumulate(T* address, T value) {
#ifdef __CUDA_ARCH__
  atomicAdd(address, value);
#else
  *address += value;
#endif
}

}  // namespace raydet
