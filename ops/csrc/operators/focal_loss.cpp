// Focal loss (arXiv:1708.02002) of class indices.
#include "../abi/boxing.h"
#include "../device/math.h"

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

template <typename T>
struct SigmoidFocal {
  const T* logits;
  const int64_t* target;
  const T* upstream;  // gradient of the loss, where a gradient is wanted
  T* result;
  int64_t num_classes;
  T gamma, alpha;

  struct Row {
    int64_t start, label;
  };

  RAYDET_BODY Row row(int64_t i) const { return {i * num_classes, target[i]}; }

  RAYDET_BODY void operator()(const Row& row, int64_t column) const {
    const int64_t i = row.start + column;
    const bool positive = row.label == column;
    const T sign = positive ? T(1) : T(-1);
    const FocalTerm<T> term(sign * logits[i], positive ? alpha : 1 - alpha, gamma);
    result[i] = upstream ? upstream[i] * sign * term.slope : term.loss;
  }
};

static Tensor run(const Tensor& logits, const Tensor& target, const Tensor* upstream, double gamma, double alpha) {
  const Tensor input = logits.contiguous(), labels = target.contiguous(), result = input.empty_like();
  dispatch_floating(input, [&](auto zero) {
    using T = decltype(zero);
    const SigmoidFocal<T> body{
        input.data<T>(), labels.data<int64_t>(), upstream ? upstream->data<T>() : nullptr, result.data<T>(),
        input.size(1),   static_cast<T>(gamma),  static_cast<T>(alpha)};
    launch_rows(input, input.size(0), input.size(1), 40, body);
  });
  return result;
}

static Tensor sigmoid_focal_loss(const Tensor& input, const Tensor& target, double gamma, double alpha) {
  return run(input, target, nullptr, gamma, alpha);
}

static Tensor sigmoid_focal_loss_backward(
    const Tensor& grad, const Tensor& input, const Tensor& target, double gamma, double alpha) {
  const Tensor upstream = grad.contiguous();
  return run(input, target, &upstream, gamma, alpha);
}

RAYDET_KERNEL(sigmoid_focal_loss);
RAYDET_KERNEL(sigmoid_focal_loss_backward);

}  // namespace raydet
