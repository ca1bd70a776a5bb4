// What the cells of regions read of the rows and columns of a plane, worked out once for all channels.
#pragma once

#include <algorithm>
#include <vector>

#include "regions.h"

namespace raydet {

// Mixes `taps` rows that lie `stride` apart: line = sum of weights[t] * rows[t]. Eight columns at a time.
template <int kTaps, bool kAdd, typename T>
void mix_some(const T* rows, int64_t stride, const T* weights, int64_t width, T* line) {
  const auto mix = [=](int64_t x) {
    T sum = kAdd ? line[x] : T(0);
    for (int t = 0; t < kTaps; ++t) sum += weights[t] * rows[t * stride + x];
    line[x] = sum;
  };
  int64_t x = 0;
  for (; x + 8 <= width; x += 8) {
#pragma GCC ivdep
    for (int k = 0; k < 8; ++k) mix(x + k);
  }
  for (; x < width; ++x) mix(x);
}

template <bool kAdd, typename T>
void mix_rows(const T* rows, int64_t stride, const T* weights, int64_t taps, int64_t width, T* line) {
  if (taps == 1) return mix_some<1, kAdd>(rows, stride, weights, width, line);
  if (taps == 2) return mix_some<2, kAdd>(rows, stride, weights, width, line);
  if (taps == 3) return mix_some<3, kAdd>(rows, stride, weights, width, line);
  mix_some<4, kAdd>(rows, stride, weights, width, line);
  if (taps > 4) mix_rows<true>(rows + 4 * stride, stride, weights + 4, taps - 4, width, line);
}

// Adds a line to `taps` rows: rows[t] += weights[t] * line.
template <typename T>
void add_to_rows(T* rows, int64_t stride, const T* weights, int64_t taps, int64_t width, const T* line) {
  for (int64_t t = 0; t < taps; ++t) {
    T* row = rows + t * stride;
    const T weight = weights[t];
    int64_t x = 0;
    for (; x + 8 <= width; x += 8) {
#pragma GCC ivdep
      for (int k = 0; k < 8; ++k) row[x + k] += weight * line[x + k];
    }
    for (; x < width; ++x) row[x] += weight * line[x];
  }
}

// What belongs together along an axis: `taps` pixels from `first` on, weighted, that a cell reads.
struct Entry {
  int64_t cell, first;
};

// The entries of one region along one axis; all have the same number of taps.
template <typename T>
struct Line {
  const Entry* entries;
  const T* weights;  // `taps` for each entry
  int64_t count, taps, low, width;
  T whole;

  // sums[j] = weighted sum of entry j, of a row of which only pixels from `low` on are given.
  void mix(const T* row, T* sums) const {
    if (taps == 2) return mix_fixed<2>(row, sums);
    if (taps == 3) return mix_fixed<3>(row, sums);
    if (taps == 4) return mix_fixed<4>(row, sums);
    for (int64_t j = 0; j < count; ++j) {
      T sum = 0;
      for (int64_t t = 0; t < taps; ++t) sum += weights[j * taps + t] * row[entries[j].first - low + t];
      sums[j] = sum;
    }
  }

  // The way back: row += the weights of each entry times sums[j].
  void spread(const T* sums, T* row) const {
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t t = 0; t < taps; ++t) row[entries[j].first - low + t] += weights[j * taps + t] * sums[j];
    }
  }

 private:
  template <int kTaps>
  void mix_fixed(const T* row, T* sums) const {
    for (int64_t j = 0; j < count; ++j) {
      const T *pixels = row + (entries[j].first - low), *w = weights + j * kTaps;
      T sum = w[0] * pixels[0];
      for (int t = 1; t < kTaps; ++t) sum += w[t] * pixels[t];
      sums[j] = sum;
    }
  }
};

// The entries of all regions along one axis. With `separate` every reading is an entry of its own, as a maximum needs
// it; else all readings of a cell are one.
template <typename T>
class Lines {
 public:
  template <typename Grid>
  Lines(const Grid& grid, int axis, bool separate) : cells_(grid.cells[axis]), limit_(grid.limit[axis]) {
    for (int64_t region = 0; region < grid.count; ++region) add(grid.axis(region, axis), separate, axis == 1);
  }

  Line<T> line(int64_t region) const {
    const Part& part = parts_[region];
    const T* weights = weights_.data() + part.weight;
    return {entries_.data() + part.entry, weights, part.count, part.taps, part.low, part.width, part.whole};
  }

  // How many readings of a cell lie inside the image.
  int64_t inside(int64_t region, int64_t cell) const { return inside_[region * cells_ + cell]; }
  int64_t samples(int64_t region) const { return parts_[region].samples; }
  int64_t most_entries() const { return most_entries_; }
  int64_t limit() const { return limit_; }

 private:
  struct Part {
    int64_t entry, weight, count, taps, low, width, samples;
    T whole;
  };

  struct Taken {
    int64_t entry;
    Reading<T> reading;
  };

  template <typename Axis>
  void add(const Axis& axis, bool separate, bool in_eights) {
    Part part{size(entries_), size(weights_), 0, 1, limit_, 0, axis.samples(), axis.whole};
    taken_.clear();
    for (int64_t cell = 0; cell < cells_; ++cell) inside_.push_back(take(axis, cell, separate));
    part.count = size(entries_) - part.entry;
    for (const auto& [e, reading] : taken_) part.taps = std::max(part.taps, reading.high + 1 - entries_[e].first);
    weights_.resize(weights_.size() + part.count * part.taps, T(0));
    place(part);
    if (in_eights && part.width % 8 && part.width / 8 * 8 + 8 <= limit_) {
      part.width += 8 - part.width % 8;
      part.low = std::min(part.low, limit_ - part.width);
    }
    most_entries_ = std::max(most_entries_, part.count);
    parts_.push_back(part);
  }

  // Collects the readings of a cell that lie inside the image, and counts them.
  template <typename Axis>
  int64_t take(const Axis& axis, int64_t cell, bool separate) {
    int64_t inside = 0;
    for (int64_t i = axis.begin(cell); i < axis.end(cell); ++i) {
      const Reading<T> reading = axis.reading(cell, i);
      if (!reading.inside) continue;
      if (separate || inside == 0) entries_.push_back({cell, reading.low});
      entries_.back().first = std::min(entries_.back().first, reading.low);  // a region may run backwards
      taken_.push_back({size(entries_) - 1, reading});
      ++inside;
    }
    return inside;
  }

  // Sets the weights of all entries of a region and the range of pixels that they read.
  void place(Part& part) {
    int64_t high = 0;
    for (int64_t e = part.entry; e < size(entries_); ++e) {
      entries_[e].first = std::min(entries_[e].first, limit_ - part.taps);
      part.low = std::min(part.low, entries_[e].first);
      high = std::max(high, entries_[e].first + part.taps);
    }
    part.width = std::max<int64_t>(high - part.low, 0);
    for (const auto& [e, reading] : taken_) {
      const int64_t start = part.weight + (e - part.entry) * part.taps, first = entries_[e].first;
      weights_[start + reading.low - first] += reading.low_weight;
      weights_[start + reading.high - first] += reading.high_weight;
    }
  }

  template <typename V>
  static int64_t size(const std::vector<V>& values) {
    return static_cast<int64_t>(values.size());
  }

  int64_t cells_, limit_, most_entries_ = 0;
  std::vector<Entry> entries_;
  std::vector<T> weights_;
  std::vector<int64_t> inside_;
  std::vector<Part> parts_;
  std::vector<Taken> taken_;  // of the region at hand
};

}  // namespace raydet
