/* A C11 program against the installed library: a small InfoNCE by hand, and symbols through the coder and
 * back. */
#include <bince.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, bince_last_error()); \
      return 1;                                                                                \
    }                                                                                          \
  } while (0)

static bince_tensor tensor(void* data, uint8_t code, uint8_t bits, int32_t ndim, int64_t* shape) {
  bince_tensor made;
  memset(&made, 0, sizeof made);
  made.data = data;
  made.device.device_type = BINCE_CPU;
  made.ndim = ndim;
  made.dtype.code = code;
  made.dtype.bits = bits;
  made.dtype.lanes = 1;
  made.shape = shape;
  return made;
}

/* Queries and keys are unit vectors e_0 .. e_3: every row's loss is log(e^s + 3) - s. */
static int check_contrastive(bince_context* context) {
  enum { N = 4, D = 4 };
  float q_data[N * D] = {0}, loss_data = 0, dq_data[N * D];
  for (int i = 0; i < N; ++i) q_data[i * D + i] = 1;
  int64_t shape[2] = {N, D}, one[1] = {1};
  const bince_tensor q = tensor(q_data, BINCE_FLOAT, 32, 2, shape);
  const bince_tensor loss = tensor(&loss_data, BINCE_FLOAT, 32, 1, one);
  const bince_tensor dq = tensor(dq_data, BINCE_FLOAT, 32, 2, shape);
  bince_contrastive problem;
  bince_contrastive_init(&problem);
  problem.q = &q;
  problem.k = &q;
  problem.scale = 5;
  bince_contrastive_results results;
  memset(&results, 0, sizeof results);
  results.struct_size = sizeof results;
  results.loss = &loss;
  results.dq = &dq;

  size_t bytes = 0;
  REQUIRE(bince_contrastive_workspace(context, &problem, BINCE_CONTRASTIVE_FORWARD_BACKWARD, &bytes) ==
          BINCE_OK);
  bince_launch launch = {NULL, NULL, 0, NULL};
  REQUIRE(bytes == 0 ||
          bince_contrastive_forward_backward(context, &problem, &results, &launch) == BINCE_BUFFER_TOO_SMALL);
  launch.workspace = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
  launch.workspace_bytes = bytes;
  REQUIRE(launch.workspace);
  REQUIRE(bince_contrastive_forward_backward(context, &problem, &results, &launch) == BINCE_OK);
  REQUIRE(fabs(loss_data - (log(exp(5) + 3) - 5)) < 1e-6);
  const double p = exp(5) / (exp(5) + 3);
  REQUIRE(fabs(dq_data[0] - 5 * (p - 1) / N) < 1e-6);
  free(launch.workspace);
  return 0;
}

static int check_coder(bince_context* context) {
  enum { N = 1000 };
  int32_t cdf_data[5] = {0, 30000, 50000, 65000, 65536}, start_data[2] = {0, 5}, offset_data[1] = {-1};
  int32_t symbols_data[N], decoded_data[N];
  for (int i = 0; i < N; ++i) symbols_data[i] = i % 97 == 0 ? 1000 - i : i % 3 - 1;
  int64_t five[1] = {5}, two[1] = {2}, one[1] = {1}, n[1] = {N};
  const bince_tensor cdf = tensor(cdf_data, BINCE_INT, 32, 1, five);
  const bince_tensor start = tensor(start_data, BINCE_INT, 32, 1, two);
  const bince_tensor offset = tensor(offset_data, BINCE_INT, 32, 1, one);
  size_t table_bytes = 0, workspace_bytes = 0;
  REQUIRE(bince_tables_bytes(&cdf, &start, &table_bytes) == BINCE_OK);
  void* table_buffer = aligned_alloc(64, (table_bytes + 63) / 64 * 64);
  const bince_tables* tables = NULL;
  REQUIRE(bince_tables_prepare(&cdf, &start, &offset, table_buffer, table_bytes, &tables) == BINCE_OK);

  uint64_t bound = 0, coded_bytes = 0;
  REQUIRE(bince_symbols_bound(N, &bound) == BINCE_OK);
  uint8_t* coded_data = malloc(bound);
  int64_t capacity[1] = {(int64_t)bound};
  const bince_tensor symbols = tensor(symbols_data, BINCE_INT, 32, 1, n);
  bince_tensor coded = tensor(coded_data, BINCE_UINT, 8, 1, capacity);
  REQUIRE(bince_symbols_encode_workspace(context, tables, N, &workspace_bytes) == BINCE_OK);
  bince_launch launch = {NULL, aligned_alloc(64, (workspace_bytes + 63) / 64 * 64 + 64), workspace_bytes,
                         NULL};
  REQUIRE(bince_symbols_encode(context, tables, BINCE_RANS, 1, &symbols, NULL, &coded, &coded_bytes,
                               &launch) == BINCE_OK);
  free(launch.workspace);

  bince_tensor decoded = tensor(decoded_data, BINCE_INT, 32, 1, n);
  capacity[0] = (int64_t)coded_bytes;
  REQUIRE(bince_symbols_decode_workspace(context, tables, &workspace_bytes) == BINCE_OK);
  launch.workspace = aligned_alloc(64, (workspace_bytes + 63) / 64 * 64 + 64);
  launch.workspace_bytes = workspace_bytes;
  REQUIRE(bince_symbols_decode(context, tables, BINCE_RANS, 1, &coded, NULL, &decoded, &launch) == BINCE_OK);
  REQUIRE(memcmp(symbols_data, decoded_data, sizeof symbols_data) == 0);
  printf("%d symbols in %llu bytes\n", N, (unsigned long long)coded_bytes);
  free(launch.workspace);
  free(coded_data);
  free(table_buffer);
  return 0;
}

int main(void) {
  REQUIRE(bince_abi_version() == BINCE_ABI_VERSION);
  bince_context* context = NULL;
  REQUIRE(bince_context_create(NULL, &context) == BINCE_OK);
  printf("bince %s, backend %s of %s\n", bince_version(), bince_context_backend(context),
         bince_available_backends());
  const int failed = check_contrastive(context) || check_coder(context);
  bince_context_destroy(context);
  return failed;
}
