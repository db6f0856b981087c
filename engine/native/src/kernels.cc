// The kernel table of one instruction set. This file is compiled once for each, with its flags (binding.gyp).
#include "kernels.h"

#include "attention.h"
#include "dots.h"
#include "linear.h"
#include "pack.h"
#include "peak.h"
#include "rows.h"
#include "update.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

constexpr const char* names[] = {"portable", "avx2", "avx512", "avx512-bf16", "amx"};

static const Kernels table = {
    /*name=*/names[STEPLOG_ISA],
    /*multipliesBf16=*/STEPLOG_ISA >= STEPLOG_AVX512_BF16,
    /*panel=*/panelOutputs,
    update,
    noise,
    perturb,
    linearOutputs,
    linearScratch,
    linear,
    dotsScratch,
    linearDots,
    linearRows,
    addLowRank,
    layerNorm,
    rmsNorm,
    activate,
    addRows,
    multiplyRows,
    scaleRows,
    rotate,
    copyRows,
    attentionScratch,
    attentionQueries,
    attention,
    softmax,
    multiplyAdds,
};

}  // namespace STEPLOG_NAMESPACE

#if STEPLOG_ISA == STEPLOG_PORTABLE
const Kernels* kernelsPortable() { return &portable::table; }
#elif STEPLOG_ISA == STEPLOG_AVX2
const Kernels* kernelsAvx2() { return &avx2::table; }
#elif STEPLOG_ISA == STEPLOG_AVX512
const Kernels* kernelsAvx512() { return &avx512::table; }
#elif STEPLOG_ISA == STEPLOG_AVX512_BF16
const Kernels* kernelsAvx512Bf16() { return &avx512bf16::table; }
#else
const Kernels* kernelsAmx() { return &amx::table; }
#endif

}  // namespace steplog
