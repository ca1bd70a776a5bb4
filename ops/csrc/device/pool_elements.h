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
  const Parts rows = divide(index, grid.cells[1]), planes = divide(rows.whole, grid.cells[0]);
  const Parts regions = divide(planes.whole, channels);
  const int64_t image = grid.image(regions.whole);
  const int64_t plane = image < 0 ? -1 : (image * channels + regions.rest) * grid.limit[0] * grid.limit[1];
  return {regions.whole, plane, planes.rest, rows.rest};
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

// The largest of a cell's readings.
template <typename T>
struct Largest {
  T value = -std::numeric_limits<T>::infinity();
  Reading<T> y{}, x{};  // where the largest is; y.inside is false where it is the 0 outside the image

  template <typename Axis>
  RAYDET_BODY Largest(const T* plane, const Axis& rows, const Axis& columns, int64_t row, int64_t column) {
    int64_t inside = 0;
    for (int64_t i = rows.begin(row); i < rows.end(row); ++i) {
      const Reading<T> a = rows.reading(row, i);
      for (int64_t j = columns.begin(column); a.inside && j < columns.end(column); ++j) {
        const Reading<T> b = columns.reading(column, j);
        if (!b.inside) continue;
        const T here = value_at(plane, columns.limit, a, b);
        ++inside;
        if (here > value) value = here, y = a, x = b;
      }
    }
    const bool is_whole = inside > 0 && inside == rows.samples() * columns.samples();
    if (!is_whole && !(value >= 0)) value = 0, y.inside = false;
  }
};

// The mean of a cell's readings; 0 without any.
template <typename T, typename Axis>
RAYDET_BODY T mean_of(const T* plane, const Axis& rows, const Axis& columns, const Place& at) {
  const T whole = rows.whole * columns.whole;
  T sum = 0;
  for (int64_t i = rows.begin(at.row); i < rows.end(at.row); ++i) {
    const Reading<T> a = rows.reading(at.row, i);
    for (int64_t j = columns.begin(at.column); a.inside && j < columns.end(at.column); ++j) {
      const Reading<T> b = columns.reading(at.column, j);
      if (b.inside) sum += value_at(plane, columns.limit, a, b);
    }
  }
  return whole > 0 ? sum / whole : T(0);
}

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
    const T* plane = input + at.plane;
    output[index] = grid.maximum ? Largest<T>(plane, rows, columns, at.row, at.column).value
                                 : mean_of(plane, rows, columns, at);
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
      const Largest<T> largest(input + at.plane, rows, columns, at.row, at.column);
      if (largest.y.inside) spread(plane, columns.limit, largest.y, largest.x, upstream[index]);
      return;
    }
    spread_mean(plane, rows, columns, at, upstream[index]);
  }
};

}  // namespace raydet
