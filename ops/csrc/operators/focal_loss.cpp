// Focal loss (arXiv:1708.02002) of class indices.
#include "../abi/boxing.h"
#include "../device/blocks.h"
#include "../device/math.h"
#include "../device/sums.h"

namespace raydet {

// One element whose sign-corrected logit is z (minus the logit for elements of other classes):
// loss weight * (1 - s)^gamma * -ln s with s = sigmoid(z), and its derivative in z.
template <typename T>
struct FocalTerm {
  T loss, slope;

  RAYDET_BODY FocalTerm(T z, T weight, T gamma) {
    const T e = exp_of_negative(smaller(z, -z)), tail = log_one_plus(e);
    const T log_hit = smaller(z, T(0)) - tail, log_miss = smaller(-z, T(0)) - tail;
    const T hit = (z >= 0 ? T(1) : e) / (1 + e);
    const T focus = weight * exp_of_negative(gamma * log_miss);
    loss = -focus * log_hit;
    slope = focus * (gamma * hit * log_hit - (1 - hit));
  }
};

// The loss of every element, or its gradient.
template <typename T, bool kGradient>
struct SigmoidFocal {
  const T* logits;
  const int64_t* target;
  const T* weight;    // of each row, if given
  const T* upstream;  // gradient of the loss
  T* result;
  int64_t num_classes;
  T gamma, alpha;

  struct Row {
    int64_t start, label;
    T positive, negative;
  };

  RAYDET_BODY Row row(int64_t i) const {
    const T factor = weight ? weight[i] : T(1);
    return {i * num_classes, target[i], factor * alpha, factor * (1 - alpha)};
  }

  RAYDET_BODY void operator()(const Row& row, int64_t column) const {
    const int64_t i = row.start + column;
    const bool positive = row.label == column;
    const T sign = positive ? T(1) : T(-1);
    const FocalTerm<T> term(sign * logits[i], positive ? row.positive : row.negative, gamma);
    if constexpr (kGradient) {
      result[i] = upstream[i] * sign * term.slope;
    } else {
      result[i] = term.loss;
    }
  }
};

// Exponentials of the logits of one row below the largest, which are written to `terms` if wanted, and their sum.
template <typename T, bool kGradient>
struct Softmax {
  T largest, sum = 0;

#ifdef __CUDACC__
  RAYDET_BODY Softmax(const T* logits, int64_t num_classes, int64_t lane, T* terms) : largest(logits[0]) {
    for (int64_t i = lane; i < num_classes; i += kLanes) largest = larger(largest, logits[i]);
    largest = over_lanes(largest, [](T a, T b) { return larger(a, b); });
    for (int64_t i = lane; i < num_classes; i += kLanes) {
      const T value = exp_of_negative(logits[i] - largest);
      if constexpr (kGradient) terms[i] = value;
      sum += value;
    }
    sum = over_lanes(sum, [](T a, T b) { return a + b; });
  }
#else
  Softmax(const T* logits, int64_t num_classes, int64_t, [[maybe_unused]] T* terms) {
    const T top = fold<8>(
        num_classes, logits[0], [](T a, T b) { return larger(a, b); }, [=](int64_t i) { return logits[i]; });
    // In blocks that stay in the first cache: a loop that only stores vectorises as a whole.
    constexpr int64_t kBlock = 128;
    [[maybe_unused]] T space[kBlock];
    for (int64_t first = 0; first < num_classes; first += kBlock) {
      const int64_t count = smaller(kBlock, num_classes - first);
      T* block = space;
      if constexpr (kGradient) block = terms + first;
#pragma GCC ivdep
      for (int64_t i = 0; i < count; ++i) block[i] = exp_of_negative(logits[first + i] - top);
      sum += fold<8>(count, T(0), [](T a, T b) { return a + b; }, [=](int64_t i) { return block[i]; });
    }
    largest = top;
  }
#endif
};

// The loss of every row, or its gradient. A row without a class of its own, such as background, has no loss.
template <typename T, bool kGradient>
struct SoftmaxFocal {
  const T* logits;
  const int64_t* target;
  const T* weight;    // of each row, if given
  const T* upstream;  // gradient of the loss
  T* result;
  int64_t num_classes;
  T gamma, alpha;

  RAYDET_BODY void operator()(int64_t i, int64_t lane) const {
    const int64_t label = target[i], width = kGradient ? num_classes : 1;
    const T* row = logits + i * num_classes;
    T* out = result + i * width;
    if (label < 0 || label >= num_classes) {
      for (int64_t column = lane; column < width; column += kLanes) out[column] = 0;
      return;
    }
    const Softmax<T, kGradient> softmax(row, num_classes, lane, out);
    const T below = row[label] - softmax.largest, log_hit = smaller(below - std::log(softmax.sum), T(0));
    const T hit = smaller(exp_of_negative(below) / softmax.sum, T(1)), miss = 1 - hit;
    const T factor = weight ? weight[i] * alpha : alpha;
    const T focus = factor * (gamma == 2 ? miss * miss : std::pow(miss, gamma));  // 2 is what nearly everybody takes
    if constexpr (kGradient) {
      const T bend = miss > 0 ? focus * gamma / miss * hit * log_hit : T(0);
      const T slope = upstream[i] * (bend - focus), share = -slope / softmax.sum;  // slope in the logarithm of `hit`
      for (int64_t column = lane; column < num_classes; column += kLanes) out[column] *= share;
      if (label % kLanes == lane) out[label] += slope;  // the lane that wrote this column
    } else if (lane == 0) {
      out[0] = -focus * log_hit;
    }
  }
};

// What both losses are given; `upstream` only if the gradient is wanted.
struct Given {
  Tensor input, target;
  std::optional<Tensor> weight, upstream;
  double gamma, alpha;

  template <typename T>
  static const T* data(const std::optional<Tensor>& tensor) {
    return tensor ? tensor->data<T>() : nullptr;
  }

  // Calls `run` with the body of the loss or of the gradient.
  template <template <typename, bool> class Body, typename Run>
  void dispatch(const Tensor& result, const Run& run) const {
    dispatch_floating(input, [&](auto zero) {
      using T = decltype(zero);
      if (upstream) {
        run(body<Body<T, true>, T>(result));
      } else {
        run(body<Body<T, false>, T>(result));
      }
    });
  }

  template <typename Body, typename T>
  Body body(const Tensor& result) const {
    return {input.data<T>(),  target.data<int64_t>(), data<T>(weight),       data<T>(upstream),
            result.data<T>(), input.size(1),          static_cast<T>(gamma), static_cast<T>(alpha)};
  }
};

static std::optional<Tensor> contiguous(const std::optional<Tensor>& tensor) {
  return tensor ? std::optional<Tensor>(tensor->contiguous()) : std::nullopt;
}

static Tensor sigmoid(const Given& given) {
  const Tensor result = given.input.empty_like();
  given.dispatch<SigmoidFocal>(
      result, [&](const auto& body) { launch_rows(result, result.size(0), result.size(1), 40, body); });
  return result;
}

static Tensor softmax(const Given& given) {
  const Tensor& input = given.input;
  const Tensor result = given.upstream ? input.empty_like() : input.empty({input.size(0)}, input.dtype());
  given.dispatch<SoftmaxFocal>(
      result, [&](const auto& body) { launch_lanes(result, input.size(0), input.size(1) * 40, body); });
  return result;
}

static Tensor sigmoid_focal_loss(
    const Tensor& input, const Tensor& target, const std::optional<Tensor>& weight, double gamma, double alpha) {
  return sigmoid({input.contiguous(), target.contiguous(), contiguous(weight), std::nullopt, gamma, alpha});
}

static Tensor sigmoid_focal_loss_backward(
    const Tensor& grad, const Tensor& input, const Tensor& target, const std::optional<Tensor>& weight, double gamma,
    double alpha) {
  return sigmoid({input.contiguous(), target.contiguous(), contiguous(weight), grad.contiguous(), gamma, alpha});
}

static Tensor softmax_focal_loss(
    const Tensor& input, const Tensor& target, const std::optional<Tensor>& weight, double gamma, double alpha) {
  return softmax({input.contiguous(), target.contiguous(), contiguous(weight), std::nullopt, gamma, alpha});
}

static Tensor softmax_focal_loss_backward(
    const Tensor& grad, const Tensor& input, const Tensor& target, const std::optional<Tensor>& weight, double gamma,
    double alpha) {
  return softmax({input.contiguous(), target.contiguous(), contiguous(weight), grad.contiguous(), gamma, alpha});
}

RAYDET_KERNEL(sigmoid_focal_loss);
RAYDET_KERNEL(sigmoid_focal_loss_backward);
RAYDET_KERNEL(softmax_focal_loss);
RAYDET_KERNEL(softmax_focal_loss_backward);

}  // namespace raydet
