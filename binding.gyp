{
  # The way to build where CMake is missing: the same CPU sources, the same flags.
  "variables": {
    "avx2_flags": ["-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2", "-mpopcnt"],
    "avx512_flags": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vbmi", "-mavx512vbmi2",
                     "-mprefer-vector-width=512"]
  },
  "target_defaults": {
    "include_dirs": [".", "native/include"],
    "defines": ["BINCE_VERSION=\"<!(node -p \"require('./package.json').version\")\""],
    "cflags": ["-Wall", "-Wextra", "-ffp-contract=off", "-fvisibility=hidden", "-fPIC", "-O3"],
    "cflags_cc": ["-std=c++17", "-fvisibility-inlines-hidden"],
    "cflags!": ["-fno-exceptions"],
    "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-std=gnu++20"],
    "conditions": [
      ["target_arch=='x64'", {"defines": ["BINCE_X86"]}],
      ["target_arch=='arm64'", {"defines": ["BINCE_ARM64"]}]
    ]
  },
  "targets": [
    {
      "target_name": "bince_core",
      "type": "static_library",
      "sources": ["<!@(node scripts/sources.mjs core)"],
      "link_settings": {"libraries": ["-ldl"]}
    },
    {
      "target_name": "bince",
      "sources": ["<!@(node scripts/sources.mjs addon)"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=9", "NAPI_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "dependencies": ["bince_core"],
      "ldflags": ["-Wl,--version-script=<(module_root_dir)/cmake/addon.map"],
      "conditions": [
        ["target_arch=='x64'", {"dependencies": ["bince_avx2", "bince_avx512", "bince_avx512_vnni"]}],
        ["target_arch=='arm64'", {"dependencies": ["bince_neon"]}]
      ]
    }
  ],
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "bince_avx2",
          "type": "static_library",
          "sources": ["<!@(node scripts/sources.mjs avx2)"],
          "cflags": ["<@(avx2_flags)"]
        },
        {
          "target_name": "bince_avx512",
          "type": "static_library",
          "sources": ["<!@(node scripts/sources.mjs avx512)"],
          "cflags": ["<@(avx2_flags)", "<@(avx512_flags)"]
        },
        {
          "target_name": "bince_avx512_vnni",
          "type": "static_library",
          "sources": ["<!@(node scripts/sources.mjs avx512_vnni)"],
          "cflags": ["<@(avx2_flags)", "<@(avx512_flags)", "-mavx512vnni"]
        }
      ]
    }],
    ["target_arch=='arm64'", {
      "targets": [
        {
          "target_name": "bince_neon",
          "type": "static_library",
          "sources": ["<!@(node scripts/sources.mjs neon)"],
          "cflags": ["-march=armv8-a+crc", "-fno-schedule-insns"]
        }
      ]
    }]
  ]
}
