// Sums over channels, by the lanes of a vector on the CPU and by the threads of a warp on the GPU.
#pragma once

#include "launch.h"

namespace raydet {

#ifdef __CUDACC__
constexpr int64_t kLanes = 32;
#else
constexpr int64_t kLanes = 1;
#endif

// Calls `body(index, lane)`: on the GPU once for every lane of the warp that shares the index, on the CPU once.
template <typename Body>
struct EveryLane {
  Body body;

  RAYDET_BODY void operator()(int64_t index) const { body(index / kLanes, index % kLanes); }
};

template <typename Body>
void launch_lanes(const Tensor& where, int64_t count, int64_t cost, const Body& body) {
  launch(where, count * kLanes, cost, EveryLane<Body>{body});
}

// Adds `term(i, values)`, which fills `values[num]`, to `sums` for every i in [0, count), in the same order every time.
// All lanes of an index must come here together, and all get the sums.
template <int num, typename T, typename Term>
RAYDET_BODY void add_terms(int64_t count, [[maybe_unused]] int64_t lane, T (&sums)[num], const Term& term) {
#ifdef __CUDA_ARCH__
  T own[num] = {}, values[num];
  for (int64_t i = lane; i < count; i += kLanes) {
    term(i, values);
    for (int k = 0; k < num; ++k) own[k] += values[k];
  }
  for (int k = 0; k < num; ++k) {
    for (int other = kLanes / 2; other > 0; other /= 2) own[k] += __shfl_xor_sync(0xffffffffu, own[k], other);
    sums[k] += own[k];
  }
#else
  constexpr int64_t kWidth = 64 / sizeof(T);
  T parts[num][kWidth] = {};
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
#pragma GCC ivdep
    for (int64_t j = 0; j < kWidth; ++j) {
      T values[num];
      term(i + j, values);
      for (int k = 0; k < num; ++k) parts[k][j] += values[k];
    }
  }
  for (int64_t j = 0; i < count; ++i, ++j) {
    T values[num];
    term(i, values);
    for (int k = 0; k < num; ++k) parts[k][j] += values[k];
  }
  for (int k = 0; k < num; ++k) {
    for (int64_t j = 0; j < kWidth; ++j) sums[k] += parts[k][j];
  }
#endif
}

}  // namespace raydet
