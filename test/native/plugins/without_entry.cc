// A library of someone else.
extern "C" __attribute__((visibility("default"))) int someone_elses() {
  return 1;
}
