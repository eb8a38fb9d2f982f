// The simulated twin of native/cuda/mma.cuh, which describes the fragments.
#ifndef BINCE_TEST_CUSIM_CUSIM_MMA_H_
#define BINCE_TEST_CUSIM_CUSIM_MMA_H_

#include "test/cusim/cusim.h"

namespace cusim {

// One lane's registers.
struct Fragments {
  float* d;
  const uint32_t *a, *b;
  const float* c;
};
extern const Meeting kMmaBfloat16, kMmaTf32, kLoadMatrices, kLoadMatricesTransposed;

struct MatrixRows {
  const void* rows[32];
};
inline void meet_for_rows(const Meeting& meeting, const void* row, MatrixRows& rows, Place place) {
  check_shared(row, 16, meeting.name, place);
  meet(meeting, ~0u, reinterpret_cast<uintptr_t>(row),
       static_cast<int64_t>(reinterpret_cast<intptr_t>(&rows)), place);
}

}  // namespace cusim

namespace bince {

inline void mma_bfloat16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const float (&c)[4],
                         cusim::Place place = cusim::Place::here()) {
  const cusim::Fragments fragments = {d, a, b, c};
  cusim::meet(cusim::kMmaBfloat16, ~0u, reinterpret_cast<uintptr_t>(&fragments), 0, place);
}

inline void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const float (&c)[4],
                     cusim::Place place = cusim::Place::here()) {
  const cusim::Fragments fragments = {d, a, b, c};
  cusim::meet(cusim::kMmaTf32, ~0u, reinterpret_cast<uintptr_t>(&fragments), 0, place);
}

inline uint32_t to_tf32(float value) {
  const uint32_t bits = __float_as_uint(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return (bits & 0x007fffffu) ? 0x7fffffffu : bits;
  return (bits + 0x1000u) & 0xffffe000u;
}

// Each lane reads what it receives itself, so that a missing barrier is its race.
inline void load_matrices(uint32_t (&r)[4], const void* shared_row,
                          cusim::Place place = cusim::Place::here()) {
  cusim::MatrixRows rows;
  cusim::meet_for_rows(cusim::kLoadMatrices, shared_row, rows, place);
  const unsigned lane = cusim::lane();
  for (unsigned i = 0; i < 4; ++i) r[i] = static_cast<const uint32_t*>(rows.rows[8 * i + lane / 4])[lane % 4];
}

inline void load_matrices_transposed(uint32_t (&r)[4], const void* shared_row,
                                     cusim::Place place = cusim::Place::here()) {
  cusim::MatrixRows rows;
  cusim::meet_for_rows(cusim::kLoadMatricesTransposed, shared_row, rows, place);
  const unsigned lane = cusim::lane();
  for (unsigned i = 0; i < 4; ++i) {
    const void* const* const two = &rows.rows[8 * i + 2 * (lane % 4)];
    r[i] = static_cast<uint32_t>(static_cast<const uint16_t*>(two[0])[lane / 4]) |
           static_cast<uint32_t>(static_cast<const uint16_t*>(two[1])[lane / 4]) << 16;
  }
}

}  // namespace bince

#endif  // BINCE_TEST_CUSIM_CUSIM_MMA_H_
