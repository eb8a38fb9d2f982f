// mma_probe.cuh on a device: prints mismatches and "N passed, N failed, N skipped".
#include "test/cusim/mma_probe.cuh"

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("  skipped mma_probe: no device\n0 passed, 0 failed, 1 skipped\n");
    return 0;
  }
  const int mismatches = mma_probe::run(stdout);
  std::printf("%d passed, %d failed, 0 skipped\n", mismatches == 0, mismatches != 0);
  return mismatches != 0;
}
