// Random tensors, element by element.
#include "native/tensor/random.h"

#include <cmath>

#include "native/tensor/tensor_ops.h"

namespace bince {
namespace {

// One lane.
struct Scalar {
  using V = float;
  static V set(float x) { return x; }
  static V add(V a, V b) { return a + b; }
  static V sub(V a, V b) { return a - b; }
  static V mul(V a, V b) { return a * b; }
  static V fma(V a, V b, V c) { return std::fmaf(a, b, c); }
  static V sqrt(V a) { return std::sqrt(a); }
  static V round_even(V a) { return std::nearbyintf(a); }
  static void split(V x, V* m, V* e) {
    int exponent;
    *m = std::frexp(x, &exponent);  // [1/2, 1)
    if (*m < 0.75f) {
      *m *= 2;
      --exponent;
    }
    *e = static_cast<float>(exponent);
  }
  // (c, s) turned by q quarters of a circle.
  static void rotate_quarters(V q, V* c, V* s) {
    const int quarters = static_cast<int>(q) & 3;
    const float cosine = *c, sine = *s;
    *c = quarters == 0 ? cosine : quarters == 1 ? -sine : quarters == 2 ? -cosine : sine;
    *s = quarters == 0 ? sine : quarters == 1 ? cosine : quarters == 2 ? -sine : -cosine;
  }
};

// The four words' upper 24 bits of the block that index g is in.
void block_of(uint64_t seed, uint64_t g, uint32_t words[4]) {
  const uint64_t block = g / kRandomGroup * 16 + g % 16;
  words[0] = static_cast<uint32_t>(block);
  words[1] = static_cast<uint32_t>(block >> 32);
  words[2] = 0;
  words[3] = kRandomStream;
  philox4x32_10(words, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  for (int i = 0; i < 4; ++i) words[i] >>= 8;
}

float uniform(uint64_t seed, uint64_t g) {
  uint32_t words[4];
  block_of(seed, g, words);
  return static_cast<float>(words[g / 16 % 4]) * 0x1p-24f;
}

float normal(uint64_t seed, uint64_t g) {
  uint32_t words[4];
  block_of(seed, g, words);
  const int word = g / 16 % 4, pair = word & 2;
  float first, second;
  normal_pair<Scalar>(static_cast<float>(words[pair] + 1) * 0x1p-24f,
                      static_cast<float>(words[pair + 1]) * 0x1p-24f, &first, &second);
  return word & 1 ? second : first;
}

void random(const RandomArgs& args, const Run&) {
  for (int64_t i = 0; i < args.n; ++i) {
    const uint64_t g = args.offset + static_cast<uint64_t>(i);
    if (args.kind == 0) {
      const float x = std::fmaf(args.b - args.a, uniform(args.seed, g), args.a);
      args.x[i] = x < args.b ? x : args.a;  // rounding up could reach b
    } else {
      args.x[i] = std::fmaf(args.b, normal(args.seed, g), args.a);
    }
  }
}

void dropout(const DropoutArgs& args, const Run&) {
  const float scale = 1.0f / (1.0f - args.p);
  for (int64_t i = 0; i < args.n; ++i)
    args.y[i] = uniform(args.seed, args.offset + static_cast<uint64_t>(i)) < args.p ? 0 : args.x[i] * scale;
}

}  // namespace

void fill_random_ref(TensorOps* ops) {
  ops->random = random;
  ops->dropout = dropout;
}

}  // namespace bince
