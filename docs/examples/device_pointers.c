/* InfoNCE on memory that another framework owns: its pointers, its stream, a workspace from its allocator.
 *
 *   cc -std=c11 device_pointers.c -lbince -lm -o device_pointers
 *   BINCE_BACKEND=cuda ./device_pointers
 *
 * Here bince_device_allocate() and bince_context_stream() stand for the other framework.  On a backend of the
 * CPU both give what the CPU has, and the program runs there too. */
#include <bince.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 6, D = 16 };

/* The words of the failure, and the end of the program: an application would hand both on. */
static void check(bince_status status, const char* what) {
  if (status == BINCE_OK) return;
  fprintf(stderr, "%s: %s: %s\n", what, bince_status_name(status), bince_last_error());
  exit(1);
}

/* A float32 tensor over a pointer; nothing is copied, and shape must stay as long as the tensor. */
static bince_tensor describe(bince_device device, void* pointer, int32_t ndim, int64_t* shape) {
  bince_tensor tensor;
  memset(&tensor, 0, sizeof tensor); /* no strides: dense and row-major */
  tensor.data = pointer;
  tensor.device = device;
  tensor.ndim = ndim;
  tensor.shape = shape;
  tensor.dtype.code = BINCE_FLOAT;
  tensor.dtype.bits = 32;
  tensor.dtype.lanes = 1;
  return tensor;
}

int main(void) {
  bince_context* context = NULL;
  check(bince_context_create(NULL, &context), "context");
  const bince_device device = bince_context_device(context);
  void* stream = bince_context_stream(context);

  /* Queries and keys e_0 .. e_5: every row's loss is log(e^5 + 5) - 5. */
  float rows[N * D] = {0}, loss = 0, dq[N * D];
  for (int i = 0; i < N; ++i) rows[i * D + i] = 1;
  void *q_pointer = NULL, *loss_pointer = NULL, *dq_pointer = NULL;
  check(bince_device_allocate(context, sizeof rows, &q_pointer), "q");
  check(bince_device_allocate(context, sizeof dq, &dq_pointer), "dq");
  check(bince_device_allocate(context, sizeof loss, &loss_pointer), "loss");
  check(bince_copy_to_device(context, q_pointer, rows, sizeof rows, stream), "copy");

  int64_t matrix[2] = {N, D}, one[1] = {1};
  const bince_tensor q = describe(device, q_pointer, 2, matrix);
  const bince_tensor loss_tensor = describe(device, loss_pointer, 1, one);
  const bince_tensor dq_tensor = describe(device, dq_pointer, 2, matrix);
  bince_contrastive problem;
  bince_contrastive_init(&problem);
  problem.q = &q;
  problem.k = &q;
  problem.scale = 5;
  bince_contrastive_results results;
  memset(&results, 0, sizeof results);
  results.struct_size = sizeof results;
  results.loss = &loss_tensor;
  results.dq = &dq_tensor;

  /* The workspace is the caller's, on the device, and may serve one call after the other on one stream. */
  bince_launch launch = {stream, NULL, 0, NULL};
  check(bince_contrastive_workspace(context, &problem, BINCE_CONTRASTIVE_FORWARD_BACKWARD,
                                    &launch.workspace_bytes),
        "workspace");
  check(bince_device_allocate(context, launch.workspace_bytes, &launch.workspace), "workspace");

  /* Queued, not waited for: the framework's own work on the stream comes before and after it in order. */
  check(bince_contrastive_forward_backward(context, &problem, &results, &launch), "forward and backward");

  /* Only where the results are read on the host, or to learn of NaN in q: waits, and tells what kernels
   * found. */
  check(bince_finish(context, &launch), "finish");
  check(bince_copy_to_host(context, &loss, loss_pointer, sizeof loss, stream), "copy");
  check(bince_copy_to_host(context, dq, dq_pointer, sizeof dq, stream), "copy");
  check(bince_stream_synchronize(context, stream), "wait");

  const double expected = log(exp(5) + N - 1) - 5, share = exp(5) / (exp(5) + N - 1);
  printf("%s: loss %.6f, expected %.6f\n", bince_context_backend(context), loss, expected);
  const int right = fabs(loss - expected) < 1e-5 && fabs(dq[0] - 5 * (share - 1) / N) < 1e-5;

  check(bince_device_free(context, launch.workspace), "free");
  check(bince_device_free(context, q_pointer), "free");
  check(bince_device_free(context, dq_pointer), "free");
  check(bince_device_free(context, loss_pointer), "free");
  bince_context_destroy(context);
  return right ? 0 : 1;
}
