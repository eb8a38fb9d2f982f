// Elementwise functions, broadcasting, copies, conversion and random numbers on every backend.
#include "test/native/tensor_case.h"

using namespace bince;
using namespace bince_test;

namespace {

const int64_t kSizes[] = {1, 7, 8, 9, 15, 16, 17, 31, 33, 257, 1009, 70001};
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<Floats> unary_on(Machine& machine, Unary op, float a, float b, const Floats& x,
                             const Floats& dy) {
  const int64_t n = static_cast<int64_t>(x.size());
  Output y(n), dx(n);
  machine.ops().unary({op, a, b, n, x.data(), y.data()}, machine.run());
  machine.ops().unary_backward({op, a, b, n, x.data(), y.data(), dy.data(), dx.data()}, machine.run());
  return {y.values(), dx.values()};
}

// Values in the domain of the operation.
Floats domain_of(int op, int64_t n, uint32_t seed) {
  Floats x = random_floats(n, seed, 0, 3);
  const bool positive = op == kLog || op == kSqrt || op == kRsqrt || op == kPower || op == kReciprocal;
  for (float& value : x) {
    if (positive) value = std::fabs(value) + 0.01f;
    if (op == kLog1p) value = std::fabs(value) - 0.95f;
  }
  return x;
}

TEST(unary_functions_agree_on_every_backend) {
  for (int op = 0; op < kUnaryOps; ++op)
    for (const int64_t n : kSizes) {
      const Floats x = domain_of(op, n, 100 + static_cast<uint32_t>(op)), dy = random_floats(n, 5);
      const float a = op == kClamp ? -1.5f : op == kPower ? 1.7f : 0.3f, b = op == kClamp ? 2.0f : 0.25f;
      // Five units in the last place, and as much of dy where slopes subtract from 1.
      check_backends(
          "unary " + std::to_string(op) + ", n = " + std::to_string(n),
          [&](Machine& m) { return unary_on(m, static_cast<Unary>(op), a, b, x, dy); }, 6e-7, 3e-6);
    }
}

TEST(power_has_exponents_of_its_own) {
  const Floats x = domain_of(kPower, 1009, 3), dy = random_floats(1009, 5);
  for (const float a : {0.0f, 1.0f, 2.0f, 3.0f, -1.0f, 0.5f, -2.5f})
    check_backends(
        "power", [&](Machine& m) { return unary_on(m, kPower, a, 0, x, dy); }, 6e-7, 1e-30);
}

// Relative error alone, over the whole range.
TEST(functions_are_accurate_over_their_range) {
  const struct {
    Unary op;
    float low, high;
    double ulp;
  } ranges[] = {{kExp, -103, 88.7f, 3},   {kLog, 1e-40f, 1e3f, 4}, {kLog1p, -0.99f, 1e3f, 5},
                {kExpm1, -20, 88.7f, 4},  {kTanh, -12, 12, 5},     {kSigmoid, -85, 20, 5},
                {kSoftplus, -85, 100, 5}, {kGelu, -10, 10, 10},    {kSilu, -80, 50, 6},
                {kSin, -3, 3, 6},         {kCos, -1.5f, 1.5f, 6},  {kElu, -15, 3, 5}};
  for (const auto& range : ranges) {
    constexpr int64_t kPoints = 40000;
    Floats x(kPoints);
    for (int64_t i = 0; i < kPoints; ++i)
      x[static_cast<size_t>(i)] =
          range.low + (range.high - range.low) * static_cast<float>(i) / (kPoints - 1);
    const Floats dy(x.size(), 1.0f);
    Machine reference("ref", 1);
    const Floats expected = unary_on(reference, range.op, 1, 0, x, dy)[0];
    for (const std::string& backend : cpu_backends()) {
      Machine machine(backend, 1);
      const Floats actual = unary_on(machine, range.op, 1, 0, x, dy)[0];
      double worst = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const float size = std::fmax(std::fabs(expected[i]), 1.18e-38f);
        const double ulp = std::nextafter(size, kInfinity) - static_cast<double>(size);
        worst = std::fmax(worst, std::fabs(static_cast<double>(actual[i]) - expected[i]) / ulp);
      }
      if (std::getenv("BINCE_PRINT_ERRORS"))
        std::printf("  %s op %d: %.2f ulp\n", backend.c_str(), range.op, worst);
      if (!(worst <= range.ulp))
        report(__FILE__, __LINE__,
               backend + " op " + std::to_string(range.op) + ": " + std::to_string(worst) + " ulp");
    }
  }
}

TEST(special_values_of_unary_functions) {
  const Floats x = {kNaN,   kInfinity,    -kInfinity, 0.0f,    -0.0f, 1e30f,  -1e30f,
                    100.0f, -100.0f,      1e-40f,     3.4e38f, -1.0f, 88.73f, -88.0f,
                    1e6f,   -12345678.0f, 0.5f,       1.5f,    2.5f,  -0.5f};
  const Floats dy(x.size(), 1.0f);
  for (int op = 0; op < kUnaryOps; ++op)
    check_backends(
        "special values of " + std::to_string(op),
        [&](Machine& m) {
          const std::vector<Floats> both = unary_on(m, static_cast<Unary>(op), 0.5f, 2.0f, x, dy);
          return std::vector<Floats>{both[0]};
        },
        6e-7, 1e-37);
}

TEST(slopes_are_finite_at_large_arguments) {
  const Floats x = {1e30f, -1e30f, 100.0f, -100.0f, kInfinity, -kInfinity}, dy(x.size(), 1.0f);
  for (const Unary op : {kGelu, kSilu, kSigmoid, kTanh, kSoftplus, kRelu, kElu})
    check_backends(
        "slopes of " + std::to_string(op), [&](Machine& m) { return unary_on(m, op, 1, 0, x, dy); }, 1e-6,
        1e-30);
}

TEST(slopes_match_differences_of_the_reference) {
  Machine reference("ref", 1);
  for (int op = 0; op < kUnaryOps; ++op) {
    if (op == kRound || op == kSign || op == kFloor) continue;  // derivatives by convention
    Floats x = domain_of(op, 40, 77);
    for (float& value : x) value = std::fabs(value) < 0.1f ? 0.2f : value;  // away from kinks
    const Floats dy = random_floats(40, 8);
    const auto f = [&](const Floats& at) {
      return unary_on(reference, static_cast<Unary>(op), 0.3f, 7.0f, at, dy)[0];
    };
    for (size_t i = 0; i < x.size(); ++i) {
      const float at = x[i];
      if (op == kClamp && std::fabs(at - 0.3f) < 0.02f) continue;
      const Floats slope = unary_on(reference, static_cast<Unary>(op), 0.3f, 7.0f, {at}, {dy[i]})[1];
      check_gradient("unary " + std::to_string(op), f, {at}, {dy[i]}, slope, 2e-2,
                     2e-3f * std::fmax(0.1f, std::fabs(at)));
    }
  }
}

struct Broadcast {
  std::vector<int64_t> dims, x, y;
};

TEST(binary_operations_broadcast) {
  const Broadcast cases[] = {
      {{1}, {1}, {1}},
      {{1009}, {1}, {1}},
      {{70001}, {1}, {1}},
      {{70001}, {1}, {0}},
      {{70001}, {0}, {1}},
      {{37, 53}, {53, 1}, {0, 1}},
      {{37, 53}, {0, 1}, {53, 1}},
      {{37, 53}, {53, 1}, {1, 0}},
      {{300, 401}, {401, 1}, {0, 1}},
      {{30011, 3}, {3, 1}, {0, 1}},
      {{30011, 3}, {0, 1}, {3, 1}},
      {{9, 1}, {1, 1}, {0, 1}},
      {{8, 17}, {17, 1}, {0, 1}},
      {{5, 7, 11}, {77, 11, 1}, {11, 0, 1}},
      {{5, 7, 11}, {0, 11, 1}, {1, 5, 35}},
      {{2, 3, 4, 5}, {60, 20, 5, 1}, {0, 5, 0, 1}},
      {{2, 1, 3, 1, 2, 3}, {18, 0, 6, 0, 3, 1}, {0, 7, 3, 9, 0, 1}},
  };
  for (const Broadcast& each : cases)
    for (int op = 0; op < kBinaryOps; ++op) {
      BinaryArgs args = {};
      args.op = static_cast<Binary>(op);
      args.rank = static_cast<int32_t>(each.dims.size());
      int64_t n = 1, x_size = 1, y_size = 1;
      for (size_t d = 0; d < each.dims.size(); ++d) {
        args.dims[d] = each.dims[d];
        args.x_strides[d] = each.x[d];
        args.y_strides[d] = each.y[d];
        n *= each.dims[d];
        x_size += (each.dims[d] - 1) * each.x[d];
        y_size += (each.dims[d] - 1) * each.y[d];
      }
      Floats x = random_floats(x_size, 1), y = random_floats(y_size, 2);
      for (float& value : x) value = op == kPow ? std::fabs(value) + 0.1f : std::round(value * 4) / 4;
      for (float& value : y) value = std::round(value * 4) / 4;
      check_backends(
          "binary " + std::to_string(op) + " of " + std::to_string(n),
          [&](Machine& m) {
            Output z(n);
            BinaryArgs mine = args;
            mine.x = x.data();
            mine.y = y.data();
            mine.z = z.data();
            m.ops().binary(mine, m.run());
            return std::vector<Floats>{z.values()};
          },
          3e-7, 0);
    }
}

TEST(binary_operations_keep_nan) {
  const Floats x = {kNaN, 1, kNaN, kInfinity, -0.0f}, y = {1, kNaN, kNaN, -kInfinity, 0.0f};
  for (int op = 0; op < kBinaryOps; ++op)
    check_backends(
        "NaN in " + std::to_string(op),
        [&](Machine& m) {
          Output z(5);
          m.ops().binary({static_cast<Binary>(op), 1, {5}, {1}, {1}, x.data(), y.data(), z.data()}, m.run());
          return std::vector<Floats>{z.values()};
        },
        0, 0);
}

TEST(strided_copies) {
  const Broadcast cases[] = {
      {{70001}, {1}, {1}},
      {{70001}, {-1}, {1}},
      {{37, 53}, {1, 37}, {53, 1}},
      {{300, 257}, {1, 300}, {257, 1}},
      {{4, 30, 33}, {990, 1, 30}, {990, 33, 1}},
      {{4, 3, 5, 7}, {105, 1, 21, 3}, {105, 35, 7, 1}},
      {{3, 5}, {0, 1}, {5, 1}},
      {{6, 5}, {10, 1}, {5, 1}},
      {{50, 40}, {40, 1}, {0, 1}},  // adds rows up, or leaves the last
      {{2, 2, 2, 2, 2, 2}, {1, 2, 4, 8, 16, 32}, {32, 16, 8, 4, 2, 1}},
  };
  for (const Broadcast& each : cases)
    for (const bool accumulate : {false, true})
      for (const ElementType type : {kF32, kI32, kU8}) {
        CopyArgs args = {};
        args.type = type;
        args.accumulate = accumulate;
        args.rank = static_cast<int32_t>(each.dims.size());
        int64_t x_size = 1, y_size = 1, first = 0;
        for (size_t d = 0; d < each.dims.size(); ++d) {
          args.dims[d] = each.dims[d];
          args.x_strides[d] = each.x[d];
          args.y_strides[d] = each.y[d];
          x_size += (each.dims[d] - 1) * std::labs(each.x[d]);
          y_size += (each.dims[d] - 1) * each.y[d];
          if (each.x[d] < 0) first -= (each.dims[d] - 1) * each.x[d];
        }
        const Floats x = random_floats(x_size, 4);
        const size_t width = type == kU8 ? 1 : 4;
        check_backends(
            "copy",
            [&](Machine& m) {
              Output y((y_size + 3) / (type == kU8 ? 4 : 1));
              std::memset(y.data(), 0, static_cast<size_t>(y_size) * width);
              CopyArgs mine = args;
              mine.x = reinterpret_cast<const char*>(x.data()) + static_cast<size_t>(first) * width;
              mine.y = y.data();
              m.ops().copy_strided(mine, m.run());
              Floats bits = y.values();
              if (type != kF32)  // compare as integers that floats hold
                for (size_t i = 0; i < bits.size(); ++i) {
                  uint32_t word;
                  std::memcpy(&word, &bits[i], 4);
                  bits[i] = static_cast<float>(word >> 16) + static_cast<float>(word & 0xffff) / 65536.0f;
                }
              return std::vector<Floats>{bits};
            },
            0, 0);
      }
}

TEST(conversion_rounds_to_nearest) {
  const Floats x = {0.5f, 1.5f, -2.5f, 3e9f, -3e9f, kNaN, kInfinity, 7.49f, 2147483520.0f};
  for (const std::string& backend : cpu_backends()) {
    Machine machine(backend, 1);
    int32_t y[9];
    machine.ops().convert({kF32, kI32, 1.0f, 9, x.data(), y}, machine.run());
    const int32_t expected[] = {0, 2, -2, INT32_MAX, INT32_MIN, 0, INT32_MAX, 7, 2147483520};
    for (int i = 0; i < 9; ++i) CHECK_EQ(y[i], expected[i]);
  }
  std::vector<uint8_t> bytes(1009);
  std::vector<int32_t> integers(1009);
  for (size_t i = 0; i < bytes.size(); ++i) integers[i] = bytes[i] = static_cast<uint8_t>(i * 7);
  for (const ElementType type : {kU8, kI32})
    check_backends(
        "to float",
        [&](Machine& m) {
          Output y(1009);
          const void* from = type == kU8 ? static_cast<const void*>(bytes.data()) : integers.data();
          m.ops().convert({type, kF32, 1.0f / 255, 1009, from, y.data()}, m.run());
          return std::vector<Floats>{y.values()};
        },
        1e-7, 0);
}

TEST(fill_writes_all) {
  for (const int64_t n : kSizes)
    check_backends(
        "fill",
        [&](Machine& m) {
          Output x(n);
          m.ops().fill({n, 2.5f, x.data()}, m.run());
          return std::vector<Floats>{x.values()};
        },
        0, 0);
}

TEST(random_numbers_are_the_same_everywhere) {
  for (const int64_t n : kSizes)
    for (const uint64_t offset :
         {uint64_t{0}, uint64_t{5}, uint64_t{64}, uint64_t{63}, (uint64_t{1} << 36) - 3})
      for (const int kind : {0, 1})
        check_backends(
            "random",
            [&](Machine& m) {
              Output x(n);
              m.ops().random({kind, -1.5f, 2.5f, 0x123456789abcdefull, offset, n, x.data()}, m.run());
              return std::vector<Floats>{x.values()};
            },
            0, 0);
}

TEST(random_numbers_are_uniform_and_normal) {
  Machine machine(cpu_backends()[0], 2);
  constexpr int64_t kCount = 1 << 20;
  Floats x(kCount);
  machine.ops().random({0, 0, 1, 42, 0, kCount, x.data()}, machine.run());
  int64_t bins[16] = {};
  for (const float value : x) ++bins[static_cast<int>(value * 16)];
  for (const int64_t count : bins)
    CHECK_NEAR(static_cast<double>(count), kCount / 16.0, 5 * std::sqrt(kCount / 16.0));
  machine.ops().random({1, 0, 1, 42, 0, kCount, x.data()}, machine.run());
  double moments[5] = {};
  for (const float value : x)
    for (int k = 1; k < 5; ++k) moments[k] += std::pow(static_cast<double>(value), k) / kCount;
  CHECK_NEAR(moments[1], 0, 0.005);
  CHECK_NEAR(moments[2], 1, 0.007);
  CHECK_NEAR(moments[3], 0, 0.02);
  CHECK_NEAR(moments[4], 3, 0.05);
  double neighbours = 0, apart = 0;  // pairs of Box and Muller lie 16 apart
  for (size_t i = 0; i + 16 < x.size(); ++i) {
    neighbours += x[i] * x[i + 1] / kCount;
    apart += x[i] * x[i + 16] / kCount;
  }
  CHECK_NEAR(neighbours, 0, 0.005);
  CHECK_NEAR(apart, 0, 0.005);
}

TEST(dropout_is_the_same_everywhere) {
  for (const int64_t n : kSizes)
    for (const float p : {0.0f, 0.3f, 1.0f})
      check_backends(
          "dropout",
          [&](Machine& m) {
            const Floats x = random_floats(n, 6);
            Output y(n);
            m.ops().dropout({p, 99, 3, n, x.data(), y.data()}, m.run());
            return std::vector<Floats>{y.values()};
          },
          0, 0);
}

}  // namespace
