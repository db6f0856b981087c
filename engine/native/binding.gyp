# The native device as one addon, steplog_native. Kernels are compiled once for each instruction set, each into its own library,
# and the addon chooses among them when it is loaded: one binary runs on every processor of its architecture.
{
  "variables": {
    # A new source file needs a line here; headers do not.
    "addon_sources": [
      "src/addon.cc",
      "src/cpu.cc",
      "src/execute.cc",
      "src/execute-attention.cc",
      "src/execute-linear.cc",
      "src/execute-low-rank.cc",
      "src/file-pages.cc",
      "src/memory.cc",
      "src/plan.cc",
      "src/pool.cc",
      "src/program.cc",
    ],
    # Compiled with STEPLOG_ISA = 0 portable, 1 AVX2, 2 AVX-512, 3 AVX-512 with bfloat16, 4 AMX (src/simd.h).
    "kernel_sources": [
      "src/kernels.cc",
    ],
    # No contraction: a * b + c is two roundings wherever the source does not say fma, or replays would differ
    # (docs/STEP_LOG.md, "Update"). No -ffast-math or -march=native, for the same reason and for other machines.
    "code_flags": ["-O3", "-ffp-contract=off", "-fomit-frame-pointer", "-fvisibility=hidden", "-Wall", "-Wextra",
                   # GCC 12's own intrinsics set them off.
                   "-Wno-uninitialized", "-Wno-maybe-uninitialized"],
    "avx2_flags": ["-mavx2", "-mfma", "-mf16c", "-mpopcnt"],
    # What Ice Lake (2019) and Zen 4 (2022) have in common.
    "avx512_flags": [
      "<@(avx2_flags)",
      "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bitalg",
    ],
    "avx512_bf16_flags": ["<@(avx512_flags)", "-mavx512bf16"],
    "amx_flags": ["<@(avx512_bf16_flags)", "-mamx-tile", "-mamx-bf16"],
  },
  "target_defaults": {
    "default_configuration": "Release",
    "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
    # Every exception becomes one of JavaScript, or ends where the environment is ending (a terminated thread): thrown there, it
    # would abort the process.
    "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS_ALL", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
    # Node's own settings switch exceptions off and choose a standard.
    "cflags_cc!": ["-fno-exceptions", "-std=gnu++14", "-std=gnu++20"],
    "cflags_cc": ["-std=gnu++17", "<@(code_flags)"],
    "xcode_settings": {
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "CLANG_CXX_LANGUAGE_STANDARD": "gnu++17",
      "CLANG_CXX_LIBRARY": "libc++",
      "MACOSX_DEPLOYMENT_TARGET": "11.0",
      "OTHER_CPLUSPLUSFLAGS": ["<@(code_flags)"],
    },
  },
  "targets": [
    {
      "target_name": "steplog_native",
      "sources": ["<@(addon_sources)"],
      "dependencies": ["kernels_portable"],
      "conditions": [
        ["OS=='linux'", {"libraries": ["-pthread"]}],
        ["target_arch=='x64'", {
          "defines": ["STEPLOG_X64"],
          "dependencies": ["kernels_avx2", "kernels_avx512", "kernels_avx512_bf16", "kernels_amx"],
        }],
      ],
    },
    {
      "target_name": "kernels_portable",
      "type": "static_library",
      "sources": ["<@(kernel_sources)"],
      "defines": ["STEPLOG_ISA=0"],
    },
  ],
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "kernels_avx2",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["STEPLOG_ISA=1"],
          "cflags_cc": ["<@(avx2_flags)"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(avx2_flags)"]},
        },
        {
          "target_name": "kernels_avx512",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["STEPLOG_ISA=2"],
          "cflags_cc": ["<@(avx512_flags)"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(avx512_flags)"]},
        },
        {
          "target_name": "kernels_avx512_bf16",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["STEPLOG_ISA=3"],
          "cflags_cc": ["<@(avx512_bf16_flags)"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(avx512_bf16_flags)"]},
        },
        {
          "target_name": "kernels_amx",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["STEPLOG_ISA=4"],
          "cflags_cc": ["<@(amx_flags)"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(amx_flags)"]},
        },
      ],
    }],
  ],
}
