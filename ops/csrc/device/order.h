// Stable orders of numbers: by radix on the CPU, by PyTorch's sort on the GPU.
#pragma once

#include <array>
#include <cstring>
#include <vector>

#include "launch.h"

namespace raydet {

// Keys are ordered as their numbers are, with NaN above all and both zeros the same.
inline uint64_t key_of(double number) {
  if (number != number) return ~uint64_t{0};
  number += 0.0;
  uint64_t bits;
  std::memcpy(&bits, &number, sizeof(bits));
  return bits >> 63 ? ~bits : bits | uint64_t{1} << 63;
}

inline uint64_t key_of(int64_t number) { return static_cast<uint64_t>(number) ^ uint64_t{1} << 63; }

// Sorts places by their keys, least first, byte by byte from the lowest. Bytes that all keys share cost nothing.
class RadixOrder {
 public:
  struct Entry {
    uint64_t key;
    int64_t place;
  };

  explicit RadixOrder(std::vector<Entry> entries) : entries_(std::move(entries)), spare_(entries_.size()) {
    std::array<std::array<int64_t, 256>, 8> counts{};
    for (const Entry& entry : entries_)
      for (int byte = 0; byte < 8; ++byte) ++counts[byte][entry.key >> 8 * byte & 255];
    for (int byte = 0; byte < 8; ++byte) sort_by(byte, counts[byte]);
  }

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  void sort_by(int byte, std::array<int64_t, 256>& counts) {
    if (entries_.empty() || counts[entries_[0].key >> 8 * byte & 255] == static_cast<int64_t>(entries_.size())) return;
    int64_t start = 0;
    for (int64_t& count : counts) {
      const int64_t end = start + count;
      count = start;
      start = end;
    }
    for (const Entry& entry : entries_) spare_[counts[entry.key >> 8 * byte & 255]++] = entry;
    entries_.swap(spare_);
  }

  std::vector<Entry> entries_, spare_;
};

// Places of (R,) scores, best first; equal ones in their order.
inline Tensor best_first(const Tensor& scores) {
#ifdef __CUDACC__
  constexpr StableIValue kStable = 1, kDescending = 1;
  StableIValue stack[4] = {scores.own(), kStable, 0, kDescending};
  call(torch_call_dispatcher("aten::argsort", "stable", stack, kTorchVersion));
  return Tensor(reinterpret_cast<AtenTensorHandle>(stack[0]));
#else
  const int64_t count = scores.numel();
  const Tensor order = scores.empty<int64_t>({count});
  dispatch_floating(scores, [&](auto zero) {
    const auto* values = scores.data<decltype(zero)>();
    std::vector<RadixOrder::Entry> entries(count);
    for (int64_t i = 0; i < count; ++i) entries[i] = {~key_of(static_cast<double>(values[i])), i};
    const RadixOrder sorted(std::move(entries));
    for (int64_t i = 0; i < count; ++i) order.data<int64_t>()[i] = sorted.entries()[i].place;
  });
  return order;
#endif
}

}  // namespace raydet
