// Soft non-maximum suppression (arXiv:1704.04503). Each choice depends on the one before, so that a GPU would have
// nothing to share out: boxes come to the CPU.
#ifndef __CUDACC__
#include <algorithm>
#include <numeric>

#include "../abi/boxing.h"
#include "../device/boxes.h"

namespace raydet {

enum Method : int64_t { kNaive, kLinear, kGaussian };

// What is left of the score of a box that overlaps the chosen one by `iou`; boxes without area (NaN) lose nothing.
template <int64_t method, typename T>
RAYDET_BODY T kept_share(T iou, T threshold, T sigma) {
  if constexpr (method == kNaive) return iou >= threshold ? T(0) : T(1);
  if constexpr (method == kLinear) return iou >= threshold ? 1 - iou : T(1);
  if constexpr (method == kGaussian) return exp_of_negative(-larger(iou * iou, T(0)) / sigma);
}

// The boxes that are still to be chosen, in their order; a score of -infinity marks one that is gone.
template <typename T>
class Contest {
 public:
  Contest(const T* boxes, const T* scores, int64_t count, T offset)
      : live_(count),
        stride_((count / kLanes + 1) * kLanes),
        columns_(5 * stride_),
        scores_(stride_, kGone),
        places_(count) {
    for (int64_t i = 0; i < count; ++i) this->boxes().set(i, read_box(boxes, i, offset));
    std::copy_n(scores, count, scores_.begin());
    std::iota(places_.begin(), places_.end(), 0);
    best_ = *std::max_element(scores_.begin(), scores_.end());
  }

  bool open() const { return best_ > kGone; }
  T best() const { return best_; }

  // Takes out the first of the best boxes: its place, after the others have lost score to it.
  template <int64_t method>
  int64_t choose(T threshold, T sigma, T least) {
    const int64_t winner = find(best_);
    scores_[winner] = kGone;
    const int64_t gone = lower<method>(boxes()[winner], threshold, sigma, least), place = places_[winner];
    if (gone * 4 > live_) close_ranks();
    return place;
  }

 private:
  static constexpr int64_t kLanes = 128 / sizeof(T);
  static constexpr T kGone = -INFINITY;

  BoxColumns<T> boxes() { return {columns_.data(), stride_}; }

  int64_t find(T score) const {
    int64_t start = 0;
    for (int found = 0;; start += kLanes) {
      for (int64_t i = 0; i < kLanes; ++i) found |= scores_[start + i] == score;
      if (found) break;
    }
    return std::find(scores_.begin() + start, scores_.end(), score) - scores_.begin();
  }

  // Lowers all scores and finds the next best one; how many boxes are gone.
  template <int64_t method>
  int64_t lower(const Box<T>& chosen, T threshold, T sigma, T least) {
    T best[kLanes];
    int32_t gone[kLanes] = {};
    std::fill_n(best, kLanes, kGone);
    const BoxColumns<T> others = boxes();
    T* scores = scores_.data();
    for (int64_t start = 0; start < live_; start += kLanes) {
#pragma GCC ivdep
      for (int64_t i = 0; i < kLanes; ++i) {
        const T score = scores[start + i];
        const T lowered = score * kept_share<method>(overlap(chosen, others[start + i]), threshold, sigma);
        const T left = score > kGone && lowered >= least ? lowered : kGone;
        scores[start + i] = left;
        gone[i] += left == kGone;
        best[i] = larger(left, best[i]);
      }
    }
    best_ = *std::max_element(best, best + kLanes);
    return std::accumulate(gone, gone + kLanes, int64_t{0});
  }

  void close_ranks() {
    int64_t next = 0;
    for (int64_t i = 0; i < live_; ++i) {
      if (!(scores_[i] > kGone)) continue;
      boxes().set(next, boxes()[i]);
      places_[next] = places_[i];
      scores_[next++] = scores_[i];
    }
    std::fill(scores_.begin() + next, scores_.begin() + live_, kGone);
    live_ = next;
  }

  int64_t live_, stride_;
  std::vector<T> columns_, scores_;
  std::vector<int64_t> places_;
  T best_;
};

// Places in the order of their choice, and the scores they had then.
template <int64_t method, typename T>
static std::tuple<std::vector<int64_t>, std::vector<T>> choose_all(
    Contest<T> contest, T threshold, T sigma, T least) {
  std::vector<int64_t> places;
  std::vector<T> scores;
  while (contest.open()) {
    scores.push_back(contest.best());
    places.push_back(contest.template choose<method>(threshold, sigma, least));
  }
  return {places, scores};
}

template <typename T>
static Tensor as_tensor(const Tensor& like, const std::vector<T>& values) {
  const Tensor result = like.empty<T>({static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), result.template data<T>());
  return result;
}

static std::tuple<Tensor, Tensor> soft_nms(
    const Tensor& boxes, const Tensor& scores, int64_t method, double iou_threshold, double sigma, double min_score,
    int64_t offset) {
  const Tensor input = boxes.contiguous(), weights = scores.contiguous();
  return dispatch_floating(input, [&](auto zero) {
    using T = decltype(zero);
    const T threshold = static_cast<T>(iou_threshold), least = static_cast<T>(min_score);
    Contest<T> contest(input.data<T>(), weights.data<T>(), input.size(0), static_cast<T>(offset));
    const auto choose = method == kNaive     ? choose_all<kNaive, T>
                        : method == kLinear ? choose_all<kLinear, T>
                                            : choose_all<kGaussian, T>;
    const auto [places, kept] = choose(std::move(contest), threshold, static_cast<T>(sigma), least);
    return std::tuple<Tensor, Tensor>(as_tensor(input, places), as_tensor(input, kept));
  });
}

RAYDET_KERNEL(soft_nms);

}  // namespace raydet
#endif
