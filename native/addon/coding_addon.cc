// The coding family as seen from JavaScript: argument checks and buffers, no arithmetic.
#include "native/addon/addon.h"

namespace bince::addon {

void register_coding(Napi::Env env, Napi::Object exports) {
  (void)env;
  (void)exports;
}

}  // namespace bince::addon
