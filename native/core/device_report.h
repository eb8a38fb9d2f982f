// What kernels on a device find wrong with the data, for a host that does not wait for them.
//
// A call on a device begins by clearing a DeviceReport at the start of its workspace; kernels note the first
// offence by an integer minimum, which does not depend on their order; bince_finish() waits, reads it and
// makes a status and a message of it.
#ifndef BINCE_CORE_DEVICE_REPORT_H_
#define BINCE_CORE_DEVICE_REPORT_H_

#include <stddef.h>
#include <stdint.h>

#include "bince.h"

namespace bince {

// In the order in which they are reported when several occur.
enum class Offence : uint32_t {
  kPositiveOutOfRange,  // index: row of `positive`
  kRowWeight,           // index: row of row_weight
  kColumnWeight,        // index: column of column_weight
  kQueryNotFinite,      // index: row of q
  kKeyNotFinite,        // index: row of k
  kQueueNotFinite,      // index: row of queue
  kQueryNorm,           // index: row of q, cosine similarity
  kKeyNorm,             // index: row of k
  kQueueNorm,           // index: row of queue
  kRowLoss,             // index: row whose loss is no finite float32
  kColumnLoss,          // index: column whose loss is no finite float32
  kLoss,
  kScaleGradient,
  kBiasGradient,
  kParameters,           // index: channel whose parameters are not finite
  kChannelScale,         // index: channel whose log_gain, shift or median is not finite
  kValueNotFinite,       // index: row of x or y
  kGaussianMean,         // index: row
  kGaussianScale,        // index: row
  kGaussianValue,        // index: row of y
  kLikelihoodCotangent,  // index: row of dlikelihood
  kBitsCotangent,        // index: row of dbits_per_row
  kNetwork,              // index: channel whose network or gradient overflows
  kUnquantizable,        // index: row * channels + channel of a value that no symbol stands for
  kIndexOutOfRange,      // index: place in `indexes`
  kBlockChecksum,        // index: block, from first_block on
  kBlockCutShort,        // index: block
  kBlockState,           // index: block whose coder does not end as encoders do
  kBlockEscape,          // index: block with an escape that no encoder writes
  kBlockHeader,          // index: block
  kString,               // index: string that does not decode
  kStringSymbol,         // index: place in `symbols`
  kBlockRows,            // index: the rows that the sections hold
  kOutputTooSmall,       // index: the bytes that are needed
  kOffences
};

constexpr uint64_t kNoOffence = ~uint64_t{0};

struct DeviceReport {
  uint64_t first;        // offence << 48 | index; kNoOffence if none
  uint64_t reserved[7];  // to 64 bytes
};
static_assert(sizeof(DeviceReport) == 64, "the report takes one aligned piece of the workspace");

// The status of a report that was read back; the message goes to bince_last_error().
bince_status report_status(const DeviceReport& report);

}  // namespace bince

#endif  // BINCE_CORE_DEVICE_REPORT_H_
