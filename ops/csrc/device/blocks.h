// Loops over contiguous channels in blocks of a constant width, whose sums the compiler keeps in registers.
//
// A body is a template over `Width<kWidth>`: the CPU calls it for blocks of 32, 8 and 1 channels, the GPU for one at a time.
#pragma once

#include "launch.h"

namespace raydet {

template <int kWidth>
using Width = std::integral_constant<int, kWidth>;

// Calls `function(Width<w>{}, first)` for blocks that cover `[0, channels)`, none wider than `kWidest`.
template <int kWidest = 32, typename Function>
RAYDET_BODY void for_blocks(int64_t channels, const Function& function) {
  int64_t first = 0;
#ifndef __CUDACC__
  if constexpr (kWidest >= 32) {
    for (; first + 32 <= channels; first += 32) function(Width<32>{}, first);
  }
  for (; first + 8 <= channels; first += 8) function(Width<8>{}, first);
#endif
  for (; first < channels; ++first) function(Width<1>{}, first);
}

// The lanes in one, by halves.
template <int kWidth, typename T, typename Join>
RAYDET_BODY T joined(T* lanes, const Join& join) {
#pragma GCC unroll 8
  for (int half = kWidth / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] = join(lanes[i], lanes[i + half]);
  }
  return lanes[0];
}

template <int kWidth, typename T>
RAYDET_BODY T sum_of(T* lanes) {
  return joined<kWidth>(lanes, [](T a, T b) { return a + b; });
}

// Joins `start` and `term(i)` for all i in [0, count), by `kWidth` lanes on the CPU.
template <int kWidth, typename T, typename Join, typename Term>
RAYDET_BODY T fold(int64_t count, T start, const Join& join, const Term& term) {
#ifdef __CUDACC__
  for (int64_t i = 0; i < count; ++i) start = join(start, term(i));
  return start;
#else
  T lanes[kWidth];
  for (int j = 0; j < kWidth; ++j) lanes[j] = start;
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
#pragma GCC ivdep
    for (int j = 0; j < kWidth; ++j) lanes[j] = join(lanes[j], term(i + j));
  }
  for (; i < count; ++i) lanes[0] = join(lanes[0], term(i));
  return joined<kWidth>(lanes, join);
#endif
}

#ifdef __CUDACC__

template <typename Body>
struct EveryChannel {
  int64_t channels;
  Body body;

  RAYDET_BODY void operator()(int64_t index) const {
    const Parts at = divide(index, channels);
    body(Width<1>{}, at.whole, at.rest);
  }
};

// `body(Width<w>{}, row, first)` for every row and block of channels.
template <int kWidest = 32, typename Body>
void launch_blocks(const Tensor& where, int64_t rows, int64_t channels, int64_t cost, const Body& body) {
  launch(where, rows * channels, cost, EveryChannel<Body>{channels, body});
}

#else

template <int kWidest = 32, typename Body>
void launch_blocks(const Tensor&, int64_t rows, int64_t channels, int64_t cost, const Body& body) {
  parallel_for(rows, channels * cost, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for_blocks<kWidest>(channels, [&](auto width, int64_t first) { body(width, row, first); });
    }
  });
}

#endif

}  // namespace raydet
