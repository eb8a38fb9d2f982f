// The program that times shapes of tiles on a device: its checks, at sizes with tails.
#define main tune_main
#include "bench/gpu/contrastive_tune.cu"
#undef main

#include "test/native/harness.h"

TEST(every_check_passes) {
  char program[] = "contrastive_tune", rows[] = "70", columns[] = "131", dim[] = "36", none[] = "0";
  char* arguments[] = {program, rows, columns, dim};
  CHECK_EQ(tune_main(4, arguments), 0);
  char* bad[] = {program, none};
  CHECK_EQ(tune_main(2, bad), 2);
}
