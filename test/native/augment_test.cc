// Augmentation: every step on every backend against a naive evaluation in double, what is drawn, and the
// order of things (threads, batches, views) that must not matter.
#include <random>

#include "native/augment/augment_moments.h"
#include "native/augment/augment_run.h"
#include "native/core/workspace.h"
#include "test/native/augment_naive.h"
#include "test/native/harness.h"

using bince::AugmentBatch;
using bince::Step;
using bince::StepKind;
using bince_test::Context;
using bince_test::Picture;

namespace {

constexpr float kSentinel = 12345.5f;
using Record = std::vector<double>;

Record record(StepKind kind, double p, std::vector<double> own, bool shared = false) {
  Record numbers = {static_cast<double>(kind), p, shared ? 1.0 : 0.0};
  numbers.insert(numbers.end(), own.begin(), own.end());
  numbers.resize(bince::kStepNumbers, 0);
  return numbers;
}

struct Case {
  int count = 5, rows = 7, H = 9, W = 11, C = 1;
  bool floats = false, indexed = true;
  uint64_t seed = 3;
  uint32_t epoch = 2, view = 1;
  std::vector<Record> steps;
  std::vector<uint8_t> bytes;
  std::vector<float> numbers;
  std::vector<int32_t> indexes, keys;
  std::vector<double> records;
  std::vector<Step> room;

  void fill(unsigned seed_of_values) {
    std::mt19937 random(seed_of_values);
    bytes.resize(static_cast<size_t>(rows) * H * W * C);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    numbers.clear();
    for (const uint8_t byte : bytes) numbers.push_back(static_cast<float>(byte) / 255.0f);
    indexes.clear();
    for (int n = 0; n < count; ++n) indexes.push_back(indexed ? static_cast<int>(random() % rows) : n);
  }
  bince_status prepare(AugmentBatch* batch) {
    records.clear();
    for (const Record& step : steps) records.insert(records.end(), step.begin(), step.end());
    room.resize(steps.size());
    *batch = {};
    batch->count = count;
    batch->rows = rows;
    batch->height = H;
    batch->width = W;
    batch->channels = C;
    (floats ? (void)(batch->floats = numbers.data()) : (void)(batch->bytes = bytes.data()));
    batch->indexes = indexed ? indexes.data() : nullptr;
    batch->keys = keys.empty() ? nullptr : keys.data();
    batch->seed = seed;
    batch->epoch = epoch;
    batch->view = view;
    batch->step_count = static_cast<int32_t>(steps.size());
    return check_augment(records.data(), room.data(), batch);
  }
};

struct Result {
  bince_status status = BINCE_OK;
  int H = 0, W = 0;
  std::vector<float> out;
};

Result run(Case& each, const char* backend, int threads = 1) {
  Result result;
  AugmentBatch batch;
  result.status = each.prepare(&batch);
  if (result.status != BINCE_OK) return result;
  const Context context(backend, threads);
  const size_t bytes = augment_workspace(context, batch);
  char* workspace = static_cast<char*>(std::aligned_alloc(64, bince::aligned_size(bytes)));
  const size_t size = static_cast<size_t>(batch.count * batch.out_height * batch.out_width * batch.channels);
  std::vector<float> room(size + 32, kSentinel);
  batch.out = room.data() + 16;
  const bince_launch launch = {nullptr, workspace, bytes, nullptr};
  result.status = augment(context, batch, &launch);
  std::free(workspace);
  for (int i = 0; i < 16; ++i) CHECK(room[i] == kSentinel && room[16 + size + i] == kSentinel);
  result.H = batch.out_height;
  result.W = batch.out_width;
  result.out.assign(room.begin() + 16, room.begin() + 16 + size);
  return result;
}

Picture expected(const Case& each, int n) {
  const int row = each.indexed ? each.indexes[n] : n;
  Picture picture(each.H, each.W, each.C);
  for (size_t i = 0; i < picture.x.size(); ++i)
    picture.x[i] = static_cast<double>(each.bytes[row * picture.x.size() + i]) / 255;
  for (size_t s = 0; s < each.room.size(); ++s) {
    const uint32_t view = each.room[s].shared ? bince::kSharedView : each.view;
    const uint32_t key = static_cast<uint32_t>(each.keys.empty() ? row : each.keys[n]);
    picture = naive_step(picture, each.room[s], {each.seed, key, each.epoch, view, static_cast<uint32_t>(s)});
  }
  return picture;
}

double worst_error(const Case& each, const Result& result) {
  double worst = 0;
  const size_t size = static_cast<size_t>(result.H) * result.W * each.C;
  for (int n = 0; n < each.count; ++n) {
    const Picture picture = expected(each, n);
    CHECK_EQ(picture.x.size(), size);
    for (size_t i = 0; i < size && i < picture.x.size(); ++i) {
      const double error = std::fabs(result.out[n * size + i] - picture.x[i]);
      if (!(error <= worst)) worst = error;
    }
  }
  return worst;
}

const Record kMnist = record(StepKind::kAffine, 1, {-45, 45, 0.25, 0.25, 0.6, 1.4, -25, 25, 0, 0, 0, 0});
const Record kMoments = record(StepKind::kMoments, 1, {0.4, 0.7, 0.7});
const Record kElastic = record(StepKind::kElastic, 1, {5, 0.08});
const Record kNormalise = record(StepKind::kNormalise, 1, {0.4, 0.5, 0.6, 0.2, 0.3, 0.25});

std::vector<std::vector<Record>> every_list() {
  return {
      {},
      {kMnist},
      {record(StepKind::kAffine, 0.5, {-180, 180, 0.5, 0, 0.2, 3, -60, 60, -30, 30, 0, 0.75})},
      {record(StepKind::kAffine, 1, {-90, 90, 0.1, 0.3, 0.7, 2, -20, 20, 0, 0, 1, 0.1})},
      {record(StepKind::kTranslate, 1, {4, 0, 0})},
      {record(StepKind::kTranslate, 0.8, {3, 1, 0.5}), record(StepKind::kTranslate, 1, {30, 2, 0})},
      {record(StepKind::kCrop, 1, {0.08, 1, 0.75, 1.3333, 0, 0})},
      {record(StepKind::kCrop, 0.7, {0.3, 0.9, 0.5, 2, 5, 17})},
      {record(StepKind::kFlip, 0.5, {})},
      {record(StepKind::kJitter, 1, {0.4, 0.4, 0.4, 0.1})},
      {record(StepKind::kJitter, 0.8, {0.8, 0, 2, 0.5}), record(StepKind::kGrey, 0.5, {})},
      {record(StepKind::kBlur, 1, {0.1, 2, 0}), record(StepKind::kBlur, 0.5, {0.5, 1, 7})},
      {record(StepKind::kErase, 0.9, {0.02, 0.33, 0.3, 3.3, 0.25})},
      {record(StepKind::kPad, 1, {2, 3, 0, 1, 1, 0.5}), kMnist, record(StepKind::kResize, 1, {7, 20}),
       kNormalise},
      {record(StepKind::kPad, 1, {20, 1, 2, 30, 0, 0}), record(StepKind::kResize, 1, {3, 0})},
      {kMoments},
      {record(StepKind::kMoments, 0.8, {0.3, 0, 1}), record(StepKind::kMoments, 1, {0.6, 1, 1})},
      {kElastic},
      {record(StepKind::kElastic, 0.8, {2, 0.5}), record(StepKind::kElastic, 1, {64, 0.02})},
      {kMnist, record(StepKind::kMoments, 1, {0.4, 0.4, 1}), kElastic},
      {kMnist, record(StepKind::kCrop, 1, {0.2, 1, 0.75, 1.33, 12, 13}),
       record(StepKind::kFlip, 0.5, {}, true), record(StepKind::kJitter, 0.8, {0.4, 0.4, 0.4, 0.2}),
       record(StepKind::kBlur, 0.5, {0.1, 1, 0}), record(StepKind::kErase, 0.5, {0.02, 0.33, 0.3, 3.3, 0}),
       kNormalise},
  };
}

}  // namespace

TEST(every_step_matches_the_naive_evaluation) {
  const int sizes[][2] = {{9, 11}, {1, 1}, {1, 17}, {16, 1}, {7, 16}, {28, 28}, {31, 33}};
  unsigned seed = 1;
  for (const auto& steps : every_list()) {
    for (const auto& size : sizes) {
      for (const int channels : {1, 3}) {
        Case each;
        each.H = size[0];
        each.W = size[1];
        each.C = channels;
        each.floats = seed % 2 == 0;
        each.steps = steps;
        each.seed = seed;
        each.fill(++seed);
        for (const std::string& backend : bince_test::cpu_backends()) {
          const Result result = run(each, backend.c_str());
          CHECK_OK(result.status);
          // A coordinate is off by a few units in the last place of the side; normalising divides by 0.2.
          const double allowed = backend == "ref" ? 2e-6 : 2e-6 + 1.2e-6 * (each.H + each.W);
          const double error = worst_error(each, result);
          CHECK_NEAR(error, 0, allowed);
          if (error > allowed)
            std::printf("    %s, step kind %g, %d x %d x %d, seed %u\n", backend.c_str(),
                        steps.empty() ? -1 : steps[0][0], each.H, each.W, each.C, seed);
        }
      }
    }
  }
}

TEST(nothing_to_do_gives_the_image_back) {
  for (const std::string& backend : bince_test::cpu_backends()) {
    for (const int channels : {1, 3}) {
      Case each;
      each.C = channels;
      each.indexed = false;
      each.fill(5);
      each.steps = {record(StepKind::kAffine, 1, {0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0}),
                    record(StepKind::kTranslate, 1, {0, 0, 0}),
                    record(StepKind::kCrop, 1, {1, 1, 1, 1, 0, 0}),
                    record(StepKind::kPad, 1, {0, 0, 0, 0, 1, 0}),
                    record(StepKind::kResize, 1, {0, 0}),
                    record(StepKind::kJitter, 1, {0, 0, 0, 0}),
                    record(StepKind::kFlip, 0, {})};
      each.H = each.W = 10;  // a square, so that the ratio of the whole image is 1
      each.fill(5);
      const Result result = run(each, backend.c_str());
      CHECK_OK(result.status);
      for (size_t i = 0; i < result.out.size(); ++i) CHECK(result.out[i] == each.numbers[i]);
    }
  }
}

namespace {

// A slanted ellipse: a Gaussian with the given deviations along its axes, its centre at (x, y).
void draw_ellipse(Case* each, double x, double y, double along, double across, double angle) {
  each->floats = true;
  each->numbers.assign(static_cast<size_t>(each->rows) * each->H * each->W * each->C, 0);
  const double c = std::cos(angle), s = std::sin(angle);
  for (int row = 0; row < each->H; ++row)
    for (int column = 0; column < each->W; ++column) {
      const double u = (c * (column - x) + s * (row - y)) / along;
      const double v = (c * (row - y) - s * (column - x)) / across;
      for (int i = 0; i < each->C; ++i)
        each->numbers[static_cast<size_t>((row * each->W + column) * each->C + i)] =
            static_cast<float>(std::exp(-(u * u + v * v) / 2));
    }
}

bince::Moments moments_of(const std::vector<float>& planes, int side) {
  return bince::measure_moments(planes.data(), 1, side, side);
}

Case one_image(int side, std::vector<Record> steps) {
  Case each;
  each.count = each.rows = 1;
  each.H = each.W = side;
  each.indexed = false;
  each.steps = std::move(steps);
  return each;
}

}  // namespace

TEST(moments_become_the_standard) {
  const int side = 64;
  const double half = side / 2.0, floor = bince::kLeastVariance * half * half;
  for (const std::string& backend : bince_test::cpu_backends()) {
    for (const double share : {0.0, 0.7, 1.0}) {
      Case each = one_image(side, {record(StepKind::kMoments, 1, {0.3, share, share})});
      draw_ellipse(&each, 24, 38, 9, 5, 0.6);
      const bince::Moments before = moments_of(each.numbers, side);
      const bince::Moments after = moments_of(run(each, backend.c_str()).out, side);
      CHECK_NEAR(after.x, 0, 0.05);
      CHECK_NEAR(after.y, 0, 0.05);
      // The variance that was added, and what a bilinear resample spreads, are a few percent.
      CHECK_NEAR(std::sqrt((after.xx + after.yy) / 2) / half, 0.3, 0.01);
      const double spread = std::hypot((after.xx - after.yy) / 2, after.xy), mean = (after.xx + after.yy) / 2;
      const double wanted = std::pow((81 + floor) / (25 + floor), 1 - share);
      CHECK_NEAR((mean + spread) / (mean - spread) / wanted, 1, 0.05);
      if (share == 1) continue;
      CHECK_NEAR(std::atan2(2 * after.xy, after.xx - after.yy) / 2,
                 std::atan2(2 * before.xy, before.xx - before.yy) / 2, 0.03);  // nothing turned
    }
  }
}

TEST(an_image_of_standard_moments_and_one_without_mass_stay) {
  for (const std::string& backend : bince_test::cpu_backends()) {
    Case each = one_image(28, {kMoments});
    draw_ellipse(&each, 13.5, 13.5, 4, 4, 0);
    const bince::Moments moments = moments_of(each.numbers, 28);
    const double radius = std::sqrt((moments.xx + moments.yy) / 2 / 196 + bince::kLeastVariance);
    each.steps = {record(StepKind::kMoments, 1, {radius, 0.7, 0.7})};
    Result result = run(each, backend.c_str());
    for (size_t i = 0; i < result.out.size(); ++i) CHECK_NEAR(result.out[i], each.numbers[i], 1e-5);
    each.numbers.assign(784, 0);
    CHECK(run(each, backend.c_str()).out == each.numbers);
    each.numbers.assign(784, -1);  // nothing above 0 either
    CHECK(run(each, backend.c_str()).out == each.numbers);
    each.numbers.assign(784, 3e38f);
    each.numbers[5] = 1e-38f;
    result = run(each, backend.c_str());
    CHECK_OK(result.status);
    for (const float x : result.out) CHECK(std::isfinite(x));
  }
}

TEST(elastic_without_displacement_stays_and_its_nodes_are_normal) {
  for (const std::string& backend : bince_test::cpu_backends()) {
    Case each = one_image(17, {record(StepKind::kElastic, 1, {5, 0})});
    each.fill(12);
    CHECK(run(each, backend.c_str()).out == each.numbers);
  }
  const int count = 20000;
  double mean = 0, square = 0, fourth = 0, product = 0, neighbours = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const bince::DrawKey key = {5, i, 0, 0, 1};
    const bince::Normals a = draw_normals(key, 6), b = draw_normals(key, 7);
    mean += (a.x + a.y) / (2 * count);
    square += (a.x * a.x + a.y * a.y) / (2 * count);
    fourth += (std::pow(a.x, 4) + std::pow(a.y, 4)) / (2 * count);
    product += a.x * a.y / count;
    neighbours += (a.x * b.x + a.y * b.y) / (2 * count);
  }
  CHECK_NEAR(mean, 0, 0.02);
  CHECK_NEAR(square, 1, 0.03);
  CHECK_NEAR(fourth, 3, 0.25);
  CHECK_NEAR(product, 0, 0.03);
  CHECK_NEAR(neighbours, 0, 0.025);
}

TEST(quarter_turns_move_pixels) {
  for (const std::string& backend : bince_test::cpu_backends()) {
    for (const int side : {8, 9, 28}) {
      Case each;
      each.count = each.rows = 1;
      each.H = each.W = side;
      each.indexed = false;
      each.steps = {record(StepKind::kAffine, 1, {90, 90, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0})};
      each.fill(6);
      const Result turned = run(each, backend.c_str());
      for (int y = 0; y < side; ++y)
        for (int x = 0; x < side; ++x)
          CHECK_NEAR(turned.out[y * side + x], each.numbers[(side - 1 - x) * side + y], 1e-4);
      each.steps.push_back(each.steps[0]);
      each.steps.push_back(each.steps[0]);
      each.steps.push_back(each.steps[0]);
      const Result back = run(each, backend.c_str());
      for (size_t i = 0; i < back.out.size(); ++i) CHECK_NEAR(back.out[i], each.numbers[i], 2e-4);
    }
  }
}

TEST(translation_and_scale_go_where_torchvision_goes) {
  // A translation of (+2, +1) moves content right and down; a scale of 2 doubles distances from the centre.
  const bince::InverseMap moved = bince::inverse_affine(0, 2, 1, 1, 0, 0, 5, 7);
  CHECK_NEAR(moved.m[2], -2, 1e-12);
  CHECK_NEAR(moved.m[5], -1, 1e-12);
  const bince::InverseMap doubled = bince::inverse_affine(0, 0, 0, 2, 0, 0, 5, 7);
  CHECK_NEAR(doubled.m[0] * 6 + doubled.m[2], 4.5, 1e-12);
  // NumPy's inverse of T(3, -2) C R(30) [1 0; -tan 5 1] [1 -tan 10; 0 1] 1.5 C^-1, torchvision's product.
  const bince::InverseMap map = bince::inverse_affine(30, 3, -2, 1.5, 10, 5, 28, 28);
  const double golden[6] = {0.5274811674783897,   0.44027796707267447, -0.2666358847291852,
                            -0.28282172989560045, 0.6065131570316005,  11.191657237414002};
  for (int i = 0; i < 6; ++i) CHECK_NEAR(map.m[i], golden[i], 1e-9);
}

TEST(threads_and_batches_do_not_matter) {
  Case each;
  each.count = 37;
  each.rows = 37;
  each.H = each.W = 28;
  each.C = 3;
  each.indexed = false;
  each.steps = every_list().back();
  each.fill(7);
  for (const std::string& backend : bince_test::cpu_backends()) {
    const Result one = run(each, backend.c_str(), 1), five = run(each, backend.c_str(), 5);
    CHECK(one.out == five.out);
    Case part = each;
    part.indexed = true;
    part.count = 3;
    part.indexes = {30, 4, 4};
    const Result some = run(part, backend.c_str(), 2);
    const size_t size = some.out.size() / 3;
    for (int n = 0; n < 3; ++n)
      CHECK(std::equal(some.out.begin() + n * size, some.out.begin() + (n + 1) * size,
                       one.out.begin() + part.indexes[n] * size));
    part.keys = {4, 30, 5};  // other keys draw otherwise
    CHECK(run(part, backend.c_str(), 2).out != some.out);
  }
}

TEST(seed_epoch_and_view_draw_anew_and_shared_steps_do_not) {
  Case each;
  each.steps = {kMnist};
  each.fill(8);
  const Result first = run(each, "ref");
  Case other = each;
  other.view = 2;
  CHECK(run(other, "ref").out != first.out);
  other = each;
  other.epoch = 3;
  CHECK(run(other, "ref").out != first.out);
  other = each;
  other.seed = uint64_t{1} << 40;
  CHECK(run(other, "ref").out != first.out);
  each.steps[0][2] = 1;
  const Result shared = run(each, "ref");
  each.view = 2;
  CHECK(run(each, "ref").out == shared.out);
}

TEST(draws_have_their_distributions) {
  int32_t H = 28, W = 28;
  Step affine, translate, jitter, erase, crop, flip;
  CHECK_OK(read_step(kMnist.data(), 0, 1, &H, &W, &affine));
  CHECK_OK(read_step(record(StepKind::kTranslate, 1, {4, 0, 0}).data(), 0, 1, &H, &W, &translate));
  CHECK_OK(read_step(record(StepKind::kJitter, 1, {0.4, 2, 0.4, 0.2}).data(), 0, 1, &H, &W, &jitter));
  CHECK_OK(read_step(record(StepKind::kErase, 1, {0.02, 0.33, 0.3, 3.3, 0}).data(), 0, 1, &H, &W, &erase));
  CHECK_OK(read_step(record(StepKind::kCrop, 1, {0.08, 1, 0.75, 1.3333, 0, 0}).data(), 0, 1, &H, &W, &crop));
  CHECK_OK(read_step(record(StepKind::kFlip, 0.25, {}).data(), 0, 1, &H, &W, &flip));
  const int count = 20000;
  int shifts[9] = {}, orders[4][4] = {}, flips = 0;
  double area = 0, scale = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const bince::DrawKey key = {11, i, 0, 0, 0};
    const bince::InverseMap map = draw_affine(affine, key, H, W);
    scale += std::sqrt(1 / (map.m[0] * map.m[4] - map.m[1] * map.m[3])) / count;
    ++shifts[draw_shift(translate, key).x + 4];
    const bince::Jitter drawn = draw_jitter(jitter, key);
    for (int k = 0; k < 4; ++k) ++orders[k][drawn.order[k]];
    CHECK(drawn.amount[0] >= 0.6 && drawn.amount[0] <= 1.4 && drawn.amount[1] >= 0 && drawn.amount[1] <= 3);
    CHECK(std::fabs(drawn.amount[3]) <= 0.2);
    bince::Box box;
    if (draw_erase(erase, key, H, W, &box))
      CHECK(box.top >= 0 && box.left >= 0 && box.top + box.height <= H && box.left + box.width <= W);
    box = draw_crop(crop, key, H, W);
    CHECK(box.top >= 0 && box.left >= 0 && box.top + box.height <= H && box.left + box.width <= W);
    area += static_cast<double>(box.height) * box.width / (H * W) / count;
    flips += draw_applies(flip, key);
  }
  CHECK_NEAR(scale, 1.0, 0.01);
  CHECK_NEAR(flips, 0.25 * count, 300);
  for (const int seen : shifts) CHECK_NEAR(seen, count / 9.0, 250);
  for (const auto& place : orders)
    for (const int seen : place) CHECK_NEAR(seen, count / 4.0, 350);
  CHECK(area > 0.45 && area < 0.55);
}

TEST(bad_input_is_refused) {
  const auto refused = [](auto change) {
    Case each;
    each.steps = {kMnist};
    each.fill(9);
    change(each);
    const Result result = run(each, "ref");
    CHECK(result.status == BINCE_INVALID_ARGUMENT || result.status == BINCE_INVALID_VALUE);
    CHECK(std::strlen(bince_last_error()) > 0);
  };
  refused([](Case& each) { each.count = 0; });
  refused([](Case& each) { each.C = 2; });
  refused([](Case& each) { each.H = 0; });
  refused([](Case& each) { each.W = 100000; });
  refused([](Case& each) { each.indexes[2] = 7; });
  refused([](Case& each) { each.indexes[2] = -1; });
  refused([](Case& each) { each.indexed = false, each.rows = 4; });
  refused([](Case& each) { each.keys = {1, 2, 3, 4, -5}; });
  refused([](Case& each) { each.steps[0][0] = 13; });
  refused([](Case& each) { each.steps = {record(StepKind::kMoments, 1, {0, 0.7, 0.7})}; });
  refused([](Case& each) { each.steps = {record(StepKind::kMoments, 1, {0.4, 0.7, 0.6})}; });
  refused([](Case& each) { each.steps = {record(StepKind::kElastic, 1, {1, 0.1})}; });
  refused([](Case& each) { each.steps = {record(StepKind::kElastic, 1, {65, 0.1})}; });
  refused([](Case& each) { each.steps = {record(StepKind::kElastic, 1, {5, -0.1})}; });
  refused([](Case& each) { each.steps[0][0] = -1; });
  refused([](Case& each) { each.steps[0][1] = 1.5; });
  refused([](Case& each) { each.steps[0][7] = 0; });  // a scale of nothing
  refused([](Case& each) { each.steps[0][4] = NAN; });
  refused([](Case& each) { each.steps[0][3] = 46; });  // low > high
  refused([](Case& each) { each.steps.assign(65, kMnist); });
  refused([](Case& each) { each.steps = {record(StepKind::kPad, 1, {8192, 0, 1, 0, 1, 0})}; });
  refused([](Case& each) { each.steps = {record(StepKind::kTranslate, 1, {1.5, 0, 0})}; });
  refused([](Case& each) { each.floats = true, each.numbers[each.indexes[1] * 99 + 3] = NAN; });
  refused([](Case& each) { each.floats = true, each.numbers[each.indexes[4] * 99 + 98] = -INFINITY; });
}

TEST(cancel_and_a_small_workspace_end_the_call) {
  Case each;
  each.steps = {kMnist};
  each.fill(10);
  AugmentBatch batch;
  CHECK_OK(each.prepare(&batch));
  const Context context("ref");
  const size_t bytes = augment_workspace(context, batch);
  char* workspace = static_cast<char*>(std::aligned_alloc(64, bince::aligned_size(bytes)));
  std::vector<float> out(5 * 99);
  batch.out = out.data();
  const int32_t cancel = 1;
  const bince_launch stopped = {nullptr, workspace, bytes, &cancel},
                     small = {nullptr, workspace, bytes - 1, nullptr};
  CHECK_EQ(augment(context, batch, &stopped), BINCE_CANCELLED);
  CHECK_EQ(augment(context, batch, &small), BINCE_BUFFER_TOO_SMALL);
  std::free(workspace);
}
