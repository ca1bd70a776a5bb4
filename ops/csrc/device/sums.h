// Bodies that share out the channels of an index: over the lanes of a vector on the CPU, over a warp on the GPU.
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

// The values of all lanes of an index, which must come here together, joined; every lane gets the result.
template <typename T, typename Join>
RAYDET_BODY T over_lanes(T value, [[maybe_unused]] const Join& join) {
#ifdef __CUDA_ARCH__
  for (int other = kLanes / 2; other > 0; other /= 2) value = join(value, __shfl_xor_sync(0xffffffffu, value, other));
#endif
  return value;
}

// Several sums at once, added up in the same order every time.
template <int num, typename T>
class Sums {
 public:
  // Adds `term(i, values)`, which fills `values[num]`, for every i in [0, count).
  template <typename Term>
  RAYDET_BODY void add(int64_t count, const Term& term) {
    int64_t i = 0;
#ifndef __CUDA_ARCH__
    for (; i + kWidth <= count; i += kWidth) {
#pragma GCC ivdep
      for (int64_t j = 0; j < kWidth; ++j) add_one(i + j, j, term);
    }
#endif
    for (int64_t j = 0; i < count; ++i, ++j) add_one(i, j % kWidth, term);
  }

  // The sums; on the GPU over all lanes, which must come here together.
  RAYDET_BODY void finish(T (&sums)[num]) const {
    for (int k = 0; k < num; ++k) {
      T sum = 0;
      for (int64_t j = 0; j < kWidth; ++j) sum += parts_[k][j];
      sums[k] = over_lanes(sum, [](T a, T b) { return a + b; });
    }
  }

 private:
#ifdef __CUDACC__
  static constexpr int64_t kWidth = 1;
#else
  static constexpr int64_t kWidth = 32 / sizeof(T);
#endif

  template <typename Term>
  RAYDET_BODY void add_one(int64_t i, int64_t j, const Term& term) {
    T values[num];
    term(i, values);
    for (int k = 0; k < num; ++k) parts_[k][j] += values[k];
  }

  T parts_[num][kWidth] = {};
};

}  // namespace raydet
