// Pooling of regions, one plane of the image at a time: what a thread of a CPU does.
//
// The rows of a plane are mixed first, many columns at once, then the columns of the mixed row. Every plane belongs to
// one thread, which goes through the regions in order: gradients come out the same every time.
#pragma once

#include <limits>

#include "lines.h"

namespace raydet {

template <typename T, typename Grid>
class PlanePooling {
 public:
  PlanePooling(const Grid& grid, int64_t channels)
      : grid_(grid), channels_(channels), rows_(grid, 0, grid.maximum), columns_(grid, 1, grid.maximum) {}

  void forward(const T* input, T* output) const {
    const int64_t parts = (grid_.count + kRegions - 1) / kRegions;
    parallel_for(channels_ * parts, kRegions * cells() * 8, [&](int64_t begin, int64_t end) {
      Workspace space(*this);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t channel = i / parts, first = i % parts * kRegions;
        for (int64_t r = first; r < std::min(first + kRegions, grid_.count); ++r) {
          const int64_t image = grid_.image(r);
          T* pooled = output + (r * channels_ + channel) * cells();
          std::fill(pooled, pooled + cells(), T(0));
          if (image >= 0) pool(r, input + (image * channels_ + channel) * area(), pooled, space);
        }
      }
    });
  }

  void backward(const T* input, const T* upstream, T* gradient) const {
    const int64_t cost = grid_.count * cells() * 8 / std::max<int64_t>(grid_.images, 1) + area();
    parallel_for(grid_.images * channels_, cost, [&](int64_t begin, int64_t end) {
      Workspace space(*this);
      for (int64_t i = begin; i < end; ++i) {
        T* plane = gradient + i * area();
        std::fill(plane, plane + area(), T(0));
        for (int64_t r = 0; r < grid_.count; ++r) {
          if (grid_.image(r) != i / channels_) continue;
          spread(r, input + i * area(), upstream + (r * channels_ + i % channels_) * cells(), plane, space);
        }
      }
    });
  }

 private:
  static constexpr int64_t kRegions = 32;  // done together, so that few channels still occupy all threads

  // What one thread writes on: a mixed row, the sums of its entries, and the largest sample of every cell.
  struct Workspace {
    explicit Workspace(const PlanePooling& pooling)
        : row(pooling.columns_.limit()), sums(pooling.columns_.most_entries()), partial(sums.size()),
          largest(pooling.grid_.cells[0] * pooling.grid_.cells[1]), y(largest.size()), x(largest.size()) {}

    std::vector<T> row, sums, partial, largest;
    std::vector<int64_t> y, x;
  };

  int64_t area() const { return grid_.limit[0] * grid_.limit[1]; }
  int64_t cells() const { return grid_.cells[0] * grid_.cells[1]; }

  // Whether the columns that are read lie so far apart that mixing whole rows is more work than taking them singly.
  static bool is_sparse(const Line<T>& rows, const Line<T>& columns) {
    const int64_t taken = columns.count * columns.taps;
    return rows.taps * taken < rows.taps * columns.width / 8 + taken;
  }

  // Sums of the columns' entries in entry `e` of the rows.
  void mix(const T* plane, const Line<T>& rows, int64_t e, const Line<T>& columns, Workspace& space) const {
    const int64_t stride = grid_.limit[1];
    const T *top = plane + rows.entries[e].first * stride + columns.low, *weights = rows.weights + e * rows.taps;
    if (!is_sparse(rows, columns)) {
      mix_rows<false>(top, stride, weights, rows.taps, columns.width, space.row.data());
      return columns.mix(space.row.data(), space.sums.data());
    }
    std::fill(space.sums.begin(), space.sums.begin() + columns.count, T(0));
    for (int64_t t = 0; t < rows.taps; ++t) {
      columns.mix(top + t * stride, space.partial.data());
      for (int64_t j = 0; j < columns.count; ++j) space.sums[j] += weights[t] * space.partial[j];
    }
  }

  void pool(int64_t region, const T* plane, T* pooled, Workspace& space) const {
    const Line<T> rows = rows_.line(region), columns = columns_.line(region);
    if (grid_.maximum) {
      find_largest<false>(region, plane, rows, columns, space);
      std::copy(space.largest.begin(), space.largest.end(), pooled);
      return;
    }
    const T whole = rows.whole * columns.whole;
    for (int64_t e = 0; e < rows.count; ++e) {
      mix(plane, rows, e, columns, space);
      T* row = pooled + rows.entries[e].cell * grid_.cells[1];
      for (int64_t j = 0; j < columns.count; ++j) row[columns.entries[j].cell] = space.sums[j] / whole;
    }
  }

  // The largest sample of each cell and, if asked for, its entries; entry -1 for the 0 outside the image.
  template <bool kWhere>
  void find_largest(
      int64_t region, const T* plane, const Line<T>& rows, const Line<T>& columns, Workspace& space) const {
    constexpr T kNone = -std::numeric_limits<T>::infinity();
    std::fill(space.largest.begin(), space.largest.end(), kNone);
    if (kWhere) std::fill(space.y.begin(), space.y.end(), -1);
    for (int64_t e = 0; e < rows.count; ++e) {
      mix(plane, rows, e, columns, space);
      const int64_t first = rows.entries[e].cell * grid_.cells[1];
      for (int64_t j = 0; j < columns.count; ++j) {
        const int64_t cell = first + columns.entries[j].cell;
        const bool is_larger = space.sums[j] > space.largest[cell];
        space.largest[cell] = is_larger ? space.sums[j] : space.largest[cell];
        if (kWhere) space.y[cell] = is_larger ? e : space.y[cell], space.x[cell] = is_larger ? j : space.x[cell];
      }
    }
    const int64_t down = rows_.samples(region), across = columns_.samples(region), all = grid_.cells[1] * across;
    if (all > 0 && columns.count == all && down > 0 && rows.count == grid_.cells[0] * down) return;
    for (int64_t cell = 0; cell < cells(); ++cell) {
      const int64_t row = cell / grid_.cells[1], column = cell % grid_.cells[1];
      const int64_t inside = rows_.inside(region, row) * columns_.inside(region, column);
      if (inside > 0 && inside == down * across) continue;
      if (!(space.largest[cell] >= 0)) space.largest[cell] = 0, space.y[cell] = -1;
    }
  }

  void spread(int64_t region, const T* input, const T* pooled, T* plane, Workspace& space) const {
    if (grid_.maximum) return spread_largest(region, input, pooled, plane, space);
    const Line<T> rows = rows_.line(region), columns = columns_.line(region);
    const T whole = rows.whole * columns.whole;
    const int64_t stride = grid_.limit[1];
    for (int64_t e = 0; e < rows.count; ++e) {
      const T *row = pooled + rows.entries[e].cell * grid_.cells[1], *weights = rows.weights + e * rows.taps;
      T* top = plane + rows.entries[e].first * stride + columns.low;
      for (int64_t j = 0; j < columns.count; ++j) space.sums[j] = row[columns.entries[j].cell] / whole;
      if (!is_sparse(rows, columns)) {
        std::fill(space.row.begin(), space.row.begin() + columns.width, T(0));
        columns.spread(space.sums.data(), space.row.data());
        add_to_rows(top, stride, weights, rows.taps, columns.width, space.row.data());
        continue;
      }
      for (int64_t t = 0; t < rows.taps; ++t) {
        for (int64_t j = 0; j < columns.count; ++j) space.partial[j] = weights[t] * space.sums[j];
        columns.spread(space.partial.data(), top + t * stride);
      }
    }
  }

  void spread_largest(int64_t region, const T* input, const T* pooled, T* plane, Workspace& space) const {
    const Line<T> rows = rows_.line(region), columns = columns_.line(region);
    const int64_t stride = grid_.limit[1];
    find_largest<true>(region, input, rows, columns, space);
    for (int64_t cell = 0; cell < static_cast<int64_t>(space.largest.size()); ++cell) {
      const int64_t e = space.y[cell], j = space.x[cell];
      if (e < 0) continue;
      const T *down = rows.weights + e * rows.taps, *across = columns.weights + j * columns.taps;
      T* top = plane + rows.entries[e].first * stride + columns.entries[j].first;
      for (int64_t t = 0; t < rows.taps; ++t) {
        for (int64_t u = 0; u < columns.taps; ++u) top[t * stride + u] += pooled[cell] * down[t] * across[u];
      }
    }
  }

  Grid grid_;
  int64_t channels_;
  Lines<T> rows_, columns_;
};

}  // namespace raydet
