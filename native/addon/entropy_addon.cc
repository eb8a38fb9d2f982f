// The entropy family as seen from JavaScript: argument checks and buffers, no arithmetic.
#include "native/addon/addon.h"

namespace bince::addon {

void register_entropy(Napi::Env env, Napi::Object exports) {
  (void)env;
  (void)exports;
}

}  // namespace bince::addon
