#include "native/augment/augment_step.h"

#include <cmath>

#include "native/core/status.h"

namespace bince {
namespace {

constexpr const char* kNames[kStepKinds] = {"affine", "translate", "crop",   "flip",      "jitter",
                                            "grey",   "blur",      "erase",  "normalise", "pad",
                                            "resize", "moments",   "elastic"};

// Reads a record's numbers in order; the first wrong one is kept for the message.
class Reader {
 public:
  Reader(const double* record, int index, const char* name) : record_(record), index_(index), name_(name) {}

  double number(const char* what, double least, double most) {
    const double value = record_[at_++];
    if (!(value >= least && value <= most)) refuse(what, value, least, most);
    return value;
  }
  int32_t integer(const char* what, int32_t least, int32_t most) {
    const double value = number(what, least, most);
    if (value != std::floor(value)) refuse(what, value, least, most);
    return ok() ? static_cast<int32_t>(value) : 0;
  }
  Range range(const char* what, double least, double most) {
    const double low = number(what, least, most);
    const double high = number(what, ok() ? low : least, most);
    return {low, high};
  }
  bool ok() const { return status_ == BINCE_OK; }
  bince_status status() const { return status_; }

 private:
  void refuse(const char* what, double value, double least, double most) {
    if (!ok()) return;
    status_ = fail(BINCE_INVALID_ARGUMENT, "steps[%d].%s.%s: expected a number from %g to %g, received %g",
                   index_, name_, what, least, most, value);
  }

  const double* record_;
  int index_;
  const char* name_;
  int at_ = 3;
  bince_status status_ = BINCE_OK;
};

constexpr double kLargestAngle = 3600;
constexpr double kLargestShear = 89;

void read_affine(Reader& in, Step* step) {
  step->angle = in.range("degrees", -kLargestAngle, kLargestAngle);
  step->translate_x = in.number("translate", 0, 1);
  step->translate_y = in.number("translate", 0, 1);
  step->scale = in.range("scale", 1e-3, 1e3);
  step->shear_x = in.range("shear", -kLargestShear, kLargestShear);
  step->shear_y = in.range("shear", -kLargestShear, kLargestShear);
  step->nearest = in.integer("interpolation", 0, 1) != 0;
  step->value = in.number("fill", -1e6, 1e6);
}

void read_box(Reader& in, Step* step) {
  step->scale = in.range("scale", 1e-6, 1);
  step->ratio = in.range("ratio", 1e-3, 1e3);
}

// 0 keeps a size.
void read_size(Reader& in, int32_t* H, int32_t* W, Step* step) {
  step->height = in.integer("size", 0, kMaxImageSide);
  step->width = in.integer("size", 0, kMaxImageSide);
  if (step->height == 0) step->height = *H;
  if (step->width == 0) step->width = *W;
  *H = step->height;
  *W = step->width;
}

void read_pad(Reader& in, int32_t* H, int32_t* W, Step* step) {
  int32_t* const sides[4] = {&step->top, &step->right, &step->bottom, &step->left};
  step->border = Border::kConstant;
  for (int32_t* side : sides) *side = in.integer("pixels", 0, kMaxImageSide);
  step->border = static_cast<Border>(in.integer("mode", 0, 2));
  step->value = in.number("value", -1e6, 1e6);
  *H += step->top + step->bottom;
  *W += step->left + step->right;
}

void read_normalise(Reader& in, int32_t C, Step* step) {
  for (int c = 0; c < 3; ++c) step->mean[c] = in.number("mean", -1e6, 1e6);
  for (int c = 0; c < 3; ++c) {
    step->deviation[c] = in.number("std", c < C ? 1e-6 : 0, 1e6);
  }
}

}  // namespace

bince_status read_step(const double* record, int index, int32_t C, int32_t* H, int32_t* W, Step* step) {
  *step = {};
  for (int i = 0; i < kStepNumbers; ++i)
    if (!std::isfinite(record[i]))
      return fail(BINCE_INVALID_ARGUMENT, "steps[%d]: expected finite numbers, received %g", index,
                  record[i]);
  if (!(record[0] >= 0 && record[0] < kStepKinds))
    return fail(BINCE_INVALID_ARGUMENT, "steps[%d]: kind %g is not known", index, record[0]);
  step->kind = static_cast<StepKind>(static_cast<int32_t>(record[0]));
  const char* name = kNames[static_cast<int>(step->kind)];
  step->p = record[1];
  if (!(step->p >= 0 && step->p <= 1))
    return fail(BINCE_INVALID_ARGUMENT, "steps[%d].%s.p: expected a probability from 0 to 1, received %g",
                index, name, step->p);
  step->shared = record[2] != 0;
  Reader in(record, index, name);
  switch (step->kind) {
    case StepKind::kAffine:
      read_affine(in, step);
      break;
    case StepKind::kTranslate:
      step->pixels = in.integer("pixels", 0, kMaxImageSide);
      step->border = static_cast<Border>(in.integer("border", 0, 2));
      step->value = in.number("value", -1e6, 1e6);
      break;
    case StepKind::kCrop:
      read_box(in, step);
      read_size(in, H, W, step);
      break;
    case StepKind::kJitter:
      for (int i = 0; i < 4; ++i) step->jitter[i] = in.number("strength", 0, i < 3 ? 100 : 0.5);
      break;
    case StepKind::kBlur:
      step->sigma = in.range("sigma", 1e-3, 1e3);
      step->radius = in.integer("size", 0, 4096);
      break;
    case StepKind::kErase:
      read_box(in, step);
      step->value = in.number("value", -1e6, 1e6);
      break;
    case StepKind::kNormalise:
      read_normalise(in, C, step);
      break;
    case StepKind::kPad:
      read_pad(in, H, W, step);
      break;
    case StepKind::kResize:
      read_size(in, H, W, step);
      break;
    case StepKind::kMoments:
      step->reach = in.number("radius", 0.01, 10);
      step->anisotropy = in.range("anisotropy", 0, 1);
      break;
    case StepKind::kElastic:
      step->grid = in.integer("grid", 2, kMaxGrid);
      step->sigma.low = step->sigma.high = in.number("sigma", 0, 10);
      break;
    case StepKind::kFlip:
    case StepKind::kGrey:
      break;
  }
  if (in.ok() && (*H > kMaxImageSide || *W > kMaxImageSide))
    return fail(BINCE_INVALID_ARGUMENT,
                "steps[%d].%s: expected a result of at most %d pixels a side, received %d x %d", index, name,
                kMaxImageSide, *H, *W);
  return in.status();
}

}  // namespace bince
