// Rows on their way into memory where they wait to be encoded: are they all values that can be?
#ifndef BINCE_CODING_ROW_SCAN_H_
#define BINCE_CODING_ROW_SCAN_H_

#include <stdint.h>

#include "bince.h"

namespace bince {

class RowScan {
 public:
  explicit RowScan(const bince_block_format* format);

  // How many of `count` values, rows from their first channel on, come before the first that cannot be coded;
  // `copy`, or null, gets at least those.
  int64_t scan(const float* values, uint64_t count, float* copy) const;
  int64_t scan(const int32_t* symbols, uint64_t count, int32_t* copy) const;

 private:
  template <typename T>
  int64_t scan_pieces(const T* values, uint64_t count, T* copy) const;
  bool codable(float x, uint64_t channel) const;
  bool codable(int32_t symbol, uint64_t channel) const;

  uint64_t channels_;
  const float *median_, *step_, *shift_;
  uint32_t safe_;  // the bits of a magnitude that is codable in every channel
};

}  // namespace bince

#endif  // BINCE_CODING_ROW_SCAN_H_
