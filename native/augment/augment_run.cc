#include "native/augment/augment_run.h"

#include <atomic>
#include <cstring>

#include "native/augment/augment_image.h"
#include "native/core/status.h"
#include "native/core/workspace.h"

namespace bince {
namespace {

// Images a task: enough to hide what a task costs, few enough to share a small batch evenly.
constexpr int64_t kTaskImages = 4;

ImageSizes sizes_of(const AugmentBatch& batch) {
  ImageSizes sizes;
  int32_t H = batch.height, W = batch.width;
  sizes.plane = static_cast<int64_t>(H) * W;
  sizes.side = sizes.plane * batch.channels;  // pixels as they lie in the batch
  for (int32_t s = 0; s < batch.step_count; ++s) {
    const Step& step = batch.steps[s];
    grow_sizes(step, H, W, &sizes);
    if (step.kind == StepKind::kCrop || step.kind == StepKind::kResize) {
      H = step.height;
      W = step.width;
    }
    if (step.kind == StepKind::kPad) {
      H += step.top + step.bottom;
      W += step.left + step.right;
    }
  }
  return sizes;
}

void carve_image(const ImageSizes& sizes, int32_t C, Workspace* workspace, Image* image) {
  const auto floats = [&](int64_t count) {
    return static_cast<float*>(carve_bytes(workspace, static_cast<size_t>(count), sizeof(float)));
  };
  image->pixels = floats(sizes.plane * C);
  image->spare = floats(sizes.plane * C);
  image->side = floats(sizes.side);
  image->weights = floats(sizes.weights);
  image->positions =
      static_cast<int32_t*>(carve_bytes(workspace, static_cast<size_t>(sizes.positions), sizeof(int32_t)));
  image->column = floats(sizes.taps);
  image->rows = static_cast<const float**>(
      carve_bytes(workspace, static_cast<size_t>(sizes.taps), sizeof(const float*)));
}

size_t worker_bytes(const ImageSizes& sizes, int32_t C) {
  Workspace workspace;
  Image image;
  carve_image(sizes, C, &workspace, &image);
  return workspace.used;
}

bool finite(const float* x, int64_t n) {
  uint32_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    found |= (bits & 0x7F800000u) == 0x7F800000u;
  }
  return found == 0;
}

// What the tasks of a call share.
struct Shared {
  const AugmentBatch* batch;
  const AugmentOps* ops;
  const Run* run;
  ImageSizes sizes;
  size_t worker_bytes;
  std::atomic<int64_t> not_finite;  // the first image of the batch, or count
};

void load_image(const AugmentBatch& batch, int64_t row, Image* image) {
  const int64_t size = static_cast<int64_t>(batch.height) * batch.width, C = batch.channels;
  image->C = batch.channels;
  image->H = batch.height;
  image->W = batch.width;
  float* const mixed = C == 1 ? image->pixels : image->side;
  if (batch.bytes)
    image->ops->unit_bytes(size * C, batch.bytes + row * size * C, mixed);
  else
    std::memcpy(mixed, batch.floats + row * size * C, static_cast<size_t>(size * C) * sizeof(float));
  if (C == 1) return;
  float *red = image->pixels, *green = red + size, *blue = green + size;
  for (int64_t i = 0; i < size; ++i) {
    red[i] = mixed[3 * i];
    green[i] = mixed[3 * i + 1];
    blue[i] = mixed[3 * i + 2];
  }
}

void store_image(const Image& image, float* out) {
  const int64_t size = static_cast<int64_t>(image.H) * image.W;
  if (image.C == 1) {
    std::memcpy(out, image.pixels, static_cast<size_t>(size) * sizeof(float));
    return;
  }
  const float *red = image.pixels, *green = red + size, *blue = green + size;
  for (int64_t i = 0; i < size; ++i) {
    out[3 * i] = red[i];
    out[3 * i + 1] = green[i];
    out[3 * i + 2] = blue[i];
  }
}

bool row_is_finite(const AugmentBatch& batch, int64_t row) {
  const int64_t size = static_cast<int64_t>(batch.height) * batch.width * batch.channels;
  return batch.bytes || finite(batch.floats + row * size, size);
}

void run_task(void* argument, int64_t task, int worker) {
  Shared& shared = *static_cast<Shared*>(argument);
  const AugmentBatch& batch = *shared.batch;
  if (cancelled(*shared.run)) return;
  Workspace workspace;
  workspace.base = shared.run->workspace + static_cast<size_t>(worker) * shared.worker_bytes;
  Image room;
  carve_image(shared.sizes, batch.channels, &workspace, &room);
  room.ops = shared.ops;
  const int64_t out_size = static_cast<int64_t>(batch.out_height) * batch.out_width * batch.channels;
  const int64_t end =
      task * kTaskImages + kTaskImages < batch.count ? task * kTaskImages + kTaskImages : batch.count;
  for (int64_t n = task * kTaskImages; n < end; ++n) {
    const int64_t row = batch.indexes ? batch.indexes[n] : n;
    if (!row_is_finite(batch, row)) {
      int64_t first = shared.not_finite.load(std::memory_order_relaxed);
      while (n < first && !shared.not_finite.compare_exchange_weak(first, n, std::memory_order_relaxed)) {
      }
      continue;
    }
    Image image = room;
    load_image(batch, row, &image);
    const uint32_t key = static_cast<uint32_t>(batch.keys ? batch.keys[n] : row);
    for (int32_t s = 0; s < batch.step_count; ++s) {
      const Step& step = batch.steps[s];
      const uint32_t view = step.shared ? kSharedView : batch.view;
      apply_step(step, {batch.seed, key, batch.epoch, view, static_cast<uint32_t>(s)}, &image);
    }
    store_image(image, batch.out + n * out_size);
  }
}

bince_status check_numbers(const int32_t* numbers, int64_t count, int64_t limit, const char* name) {
  for (int64_t n = 0; numbers && n < count; ++n)
    if (numbers[n] < 0 || numbers[n] >= limit)
      return fail(BINCE_INVALID_ARGUMENT, "%s[%lld]: expected 0 to %lld, received %d", name,
                  static_cast<long long>(n), static_cast<long long>(limit - 1), numbers[n]);
  return BINCE_OK;
}

}  // namespace

const AugmentOps* augment_ops(Backend backend) {
  struct Tables {
    AugmentOps ops[kBackends];
    Tables() {
      for (AugmentOps& each : ops) each = augment_ref();
#if defined(BINCE_X86)
      ops[1] = augment_avx2();  // both fill every slot
      ops[2] = augment_avx512();
#endif
#if defined(BINCE_ARM64)
      ops[static_cast<int>(Backend::kNeon)] = augment_neon();
#endif
    }
  };
  static const Tables tables;
  return &tables.ops[static_cast<int>(backend)];
}

bince_status check_augment(const double* records, Step* steps, AugmentBatch* batch) {
  if (batch->count < 1)
    return fail(BINCE_INVALID_ARGUMENT, "images: expected at least one image, received %lld",
                static_cast<long long>(batch->count));
  if (batch->channels != 1 && batch->channels != 3)
    return fail(BINCE_INVALID_ARGUMENT, "shape: expected 1 or 3 channels, received %d", batch->channels);
  if (batch->height < 1 || batch->height > kMaxImageSide || batch->width < 1 || batch->width > kMaxImageSide)
    return fail(BINCE_INVALID_ARGUMENT, "shape: expected images of 1 to %d pixels a side, received %d x %d",
                kMaxImageSide, batch->height, batch->width);
  if (batch->step_count < 0 || batch->step_count > kMaxSteps)
    return fail(BINCE_INVALID_ARGUMENT, "steps: expected at most %d, received %d", kMaxSteps,
                batch->step_count);
  if (!batch->indexes && batch->rows < batch->count)
    return fail(BINCE_INVALID_ARGUMENT, "images: expected %lld, received %lld",
                static_cast<long long>(batch->count), static_cast<long long>(batch->rows));
  BINCE_RETURN_IF_ERROR(check_numbers(batch->indexes, batch->count, batch->rows, "indexes"));
  BINCE_RETURN_IF_ERROR(check_numbers(batch->keys, batch->count, int64_t{1} << 31, "keys"));
  batch->out_height = batch->height;
  batch->out_width = batch->width;
  for (int32_t s = 0; s < batch->step_count; ++s)
    BINCE_RETURN_IF_ERROR(read_step(records + s * kStepNumbers, s, batch->channels, &batch->out_height,
                                    &batch->out_width, &steps[s]));
  batch->steps = steps;
  return BINCE_OK;
}

size_t augment_workspace(const bince_context* context, const AugmentBatch& batch) {
  return worker_bytes(sizes_of(batch), batch.channels) * static_cast<size_t>(pool_threads(context->pool));
}

bince_status augment(const bince_context* context, const AugmentBatch& batch, const bince_launch* launch) {
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, augment_workspace(context, batch), &run));
  Shared shared = {&batch, context->ops->augment, &run, sizes_of(batch), 0, {batch.count}};
  shared.worker_bytes = worker_bytes(shared.sizes, batch.channels);
  parallel_for(run.pool, (batch.count + kTaskImages - 1) / kTaskImages, run_task, &shared);
  if (cancelled(run)) return fail(BINCE_CANCELLED, "the augmentation was cancelled");
  const int64_t bad = shared.not_finite.load();
  if (bad < batch.count)
    return fail(BINCE_INVALID_VALUE, "images: image %lld has a NaN or an infinity",
                static_cast<long long>(batch.indexes ? batch.indexes[bad] : bad));
  return BINCE_OK;
}

}  // namespace bince
