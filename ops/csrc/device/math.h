// Elementary functions that both compilers inline; in single precision without branches, so that loops vectorise.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "launch.h"

namespace raydet {

template <typename T>
RAYDET_BODY T smaller(T a, T b) {
  return a < b ? a : b;
}

template <typename T>
RAYDET_BODY T larger(T a, T b) {
  return a > b ? a : b;
}

RAYDET_BODY double exp_of_negative(double x) { return exp(x); }

// e^x for x <= 0, to 2 units in the last place: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2].
RAYDET_BODY float exp_of_negative(float x) {
#ifdef __CUDA_ARCH__
  return expf(x);
#else
  x = larger(x, -87.3f);
  const float n = (x * 1.44269504f + 12582912.f) - 12582912.f;  // adding 1.5 * 2^23 rounds to an integer
  const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  float p = 1.f / 5040;
  p = p * r + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  return p * scale;
#endif
}

RAYDET_BODY double log_one_plus(double x) { return log1p(x); }

// ln(1 + x) for x in [0, 1], to 2 units in the last place: the series of 2 artanh(x / (2 + x)).
RAYDET_BODY float log_one_plus(float x) {
#ifdef __CUDA_ARCH__
  return log1pf(x);
#else
  const float s = x / (2.f + x), q = s * s;
  float p = 1.f / 15;
  p = p * q + 1.f / 13;
  p = p * q + 1.f / 11;
  p = p * q + 1.f / 9;
  p = p * q + 1.f / 7;
  p = p * q + 1.f / 5;
  p = p * q + 1.f / 3;
  p = p * q + 1.f;
  return 2.f * s * p;
#endif
}

}  // namespace raydet
