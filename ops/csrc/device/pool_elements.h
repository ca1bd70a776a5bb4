// Pooling of regions, one output element at a time: what a thread of a GPU does.
#pragma once

#include <limits>

#include "regions.h"

namespace raydet {

// Which output element, and where its plane starts; `plane` is -1 if the region belongs to no image.
struct Place {
  int64_t region, plane, row, column;
};

template <typename Grid>
RAYDET_BODY Place place_of(const Grid& grid, int64_t channels, int64_t index) {
  const int64_t column = index % grid.cells[1], row = index / grid.cells[1] % grid.cells[0];
  const int64_t pooled = index / (grid.cells[1] * grid.cells[0]), region = pooled / channels;
  const int64_t image = grid.image(region);
  const int64_t plane = image < 0 ? -1 : (image * channels + pooled % channels) * grid.limit[0] * grid.limit[1];
  return {region, plane, row, column};
}

template <typename T>
RAYDET_BODY T value_at(const T* plane, int64_t stride, const Reading<T>& y, const Reading<T>& x) {
  const T *above = plane + y.low * stride, *below = plane + y.high * stride;
  return y.low_weight * (x.low_weight * above[x.low] + x.high_weight * above[x.high]) +
         y.high_weight * (x.low_weight * below[x.low] + x.high_weight * below[x.high]);
}

template <typename T>
RAYDET_BODY void spread(T* plane, int64_t stride, const Reading<T>& y, const Reading<T>& x, T value) {
  T *above = plane + y.low * stride, *below = plane + y.high * stride;
  accumulate(above + x.low, value * y.low_weight * x.low_weight);
  accumulate(above + x.high, value * y.low_weight * x.high_weight);
  accumulate(below + x.low, value * y.high_weight * x.low_weight);
  accumulate(below + x.high, value * y.high_weight * x.high_weight);
}

// The sum of a cell's readings, and the largest of them.
template <typename T>
struct Pooled {
  T sum = 0, largest = -std::numeric_limits<T>::infinity();
  Reading<T> y{}, x{};  // where the largest is; y.inside is false where it is the 0 outside the image
  int64_t inside = 0;

  template <typename Axis>
  RAYDET_BODY Pooled(const T* plane, const Axis& rows, const Axis& columns, int64_t row, int64_t column) {
    for (int64_t i = rows.begin(row); i < rows.end(row); ++i) {
      const Reading<T> a = rows.reading(row, i);
      for (int64_t j = columns.begin(column); a.inside && j < columns.end(column); ++j) {
        const Reading<T> b = columns.reading(column, j);
        if (!b.inside) continue;
        const T value = value_at(plane, columns.limit, a, b);
        sum += value;
        ++inside;
        if (value > largest) largest = value, y = a, x = b;
      }
    }
    const bool is_whole = inside > 0 && inside == rows.samples() * columns.samples();
    if (!is_whole && !(largest >= 0)) largest = 0, y.inside = false;
  }
};

// Adds a gradient of the mean of a cell's readings to all of them.
template <typename T, typename Axis>
RAYDET_BODY void spread_mean(T* plane, const Axis& rows, const Axis& columns, const Place& at, T value) {
  const T share = value / (rows.whole * columns.whole);
  for (int64_t i = rows.begin(at.row); i < rows.end(at.row); ++i) {
    const Reading<T> a = rows.reading(at.row, i);
    for (int64_t j = columns.begin(at.column); a.inside && j < columns.end(at.column); ++j) {
      const Reading<T> b = columns.reading(at.column, j);
      if (b.inside) spread(plane, columns.limit, a, b, share);
    }
  }
}

template <typename T, typename Grid>
struct PoolElement {
  Grid grid;
  const T* input;
  int64_t channels;
  T* output;

  RAYDET_BODY void operator()(int64_t index) const {
    const Place at = place_of(grid, channels, index);
    output[index] = 0;
    if (at.plane < 0) return;
    const auto rows = grid.axis(at.region, 0), columns = grid.axis(at.region, 1);
    const Pooled<T> pooled(input + at.plane, rows, columns, at.row, at.column);
    if (grid.maximum) output[index] = pooled.largest;
    else if (pooled.inside > 0) output[index] = pooled.sum / (rows.whole * columns.whole);
  }
};

template <typename T, typename Grid>
struct PoolElementBackward {
  Grid grid;
  const T *input, *upstream;
  int64_t channels;
  T* gradient;

  RAYDET_BODY void operator()(int64_t index) const {
    const Place at = place_of(grid, channels, index);
    if (at.plane < 0) return;
    const auto rows = grid.axis(at.region, 0), columns = grid.axis(at.region, 1);
    T* plane = gradient + at.plane;
    if (grid.maximum) {
      const Pooled<T> pooled(input + at.plane, rows, columns, at.row, at.column);
      if (pooled.y.inside) spread(plane, columns.limit, pooled.y, pooled.x, upstream[index]);
      return;
    }
    spread_mean(plane, rows, columns, at, upstream[index]);
  }
};

}  // namespace raydet
