// The golden cases of test/golden/contrastive.json (float64 autograd) in every backend.
#include "test/native/contrastive_case.h"
#include "test/native/golden_json.h"

using namespace contrastive_test;
using bince_test::Json;
using bince_test::size_of;
using bince_test::values_of;

namespace {

// What a case asks for, by the names of test/golden/README.md.
Case case_of(const Json& golden) {
  const Json& in = golden["inputs"];
  Case c;
  c.name = golden["name"].text;
  const bool self = in.has("z");
  const Json& q = self ? in["z"] : in.has("r1") ? in["r1"] : in["q"];
  const Json& k = self ? in["z"] : in.has("r7") ? in["r7"] : in.has("k_pos") ? in["k_pos"] : in["k"];
  c.q = values_of(q), c.k = values_of(k);
  c.n = size_of(q, 0), c.dim = size_of(q, 1);
  c.m = static_cast<int64_t>(c.k.size()) / c.dim;
  if (in.has("scale")) c.options.scale = static_cast<float>(in["scale"].number);
  if (in.has("temperature")) c.options.scale = static_cast<float>(1 / in["temperature"].number);
  if (in.has("positive")) c.positive = values_of<int32_t>(in["positive"]);
  if (c.name.find("clip_symmetric") == 0)
    c.options.flags = BINCE_CONTRASTIVE_SYMMETRIC | BINCE_CONTRASTIVE_COSINE;
  if (self) c.options.flags = BINCE_CONTRASTIVE_COSINE | BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL;
  if (in.has("label")) c.row_group = c.column_group = values_of<int32_t>(in["label"]);
  if (self && !in.has("label"))
    for (int64_t i = 0; i < c.n; ++i) c.positive.push_back(static_cast<int32_t>((i + c.n / 2) % c.n));
  if (in.has("queue")) {
    c.queue = values_of(in["queue"]);
    c.queued = size_of(in["queue"], 0);
    c.options.flags = BINCE_CONTRASTIVE_COSINE | BINCE_CONTRASTIVE_OWN_KEY;
  }
  if (in.has("r1")) {
    c.options.denominator = BINCE_DENOMINATOR_EACH;
    c.options.scale = static_cast<float>(in["score_scale"].number);
    c.options.clip = static_cast<float>(in["clip"].number);
    c.options.regularizer = static_cast<float>(in["reg_weight"].number);
    for (int64_t i = 0; i < c.n; ++i) c.row_group.push_back(static_cast<int32_t>(i));
    for (int64_t j = 0; j < c.m; ++j) c.column_group.push_back(static_cast<int32_t>(j / (c.m / c.n)));
  }
  return c;
}

// Inputs were rounded to float32 on the way in, so the room is a little more than the arithmetic's own.
void check_values(const std::string& what, const std::vector<float>& actual, const Json& expected,
                  double room = 1e-5) {
  const std::vector<double> exact = values_of<double>(expected);
  CHECK_EQ(actual.size(), exact.size());
  double size = 0, error = 0;
  for (size_t i = 0; i < exact.size() && i < actual.size(); ++i) {
    size = std::fmax(size, std::fabs(exact[i]));
    error = std::fmax(error, std::fabs(actual[i] - exact[i]));
  }
  if (!(error <= room * size))
    bince_test::report(__FILE__, __LINE__,
                       what + ": error " + std::to_string(error) + " of " + std::to_string(size));
}

void check_number(const std::string& what, double actual, double expected) {
  if (!(std::fabs(actual - expected) <= 1e-5 * std::fmax(1, std::fabs(expected))))
    bince_test::report(__FILE__, __LINE__,
                       what + " is " + std::to_string(actual) + ", expected " + std::to_string(expected));
}

void check_case(const Json& golden, const Case& c, bince_context* context, bool split) {
  const Outcome<float> out = run_case(context, c, split);
  const Json& expected = golden["expected"];
  const std::string what = c.name + " " + bince_context_backend(context) + (split ? " split " : " ");
  if (expected.has("loss")) check_number(what + "loss", out.loss, expected["loss"].number);
  if (expected.has("nce")) {
    check_number(what + "nce", double{out.loss} - out.regularizer, expected["nce"].number);
    check_number(what + "reg", out.regularizer, expected["reg"].number);
  }
  if (expected.has("rows")) check_values(what + "rows", out.row_loss, expected["rows"]);
  if (expected.has("lse")) check_values(what + "lse", out.row_lse, expected["lse"]);
  if (expected.has("dscale")) check_number(what + "dscale", out.dscale, expected["dscale"].number);
  double room = 1e-5;  // half an ulp of a saved LSE is a relative error of the probabilities
  for (size_t i = 0; split && i < out.row_lse.size(); ++i)
    room = std::fmax(room, 6e-8 * std::fabs(double{out.row_lse[i]}));
  for (const char* name : {"dq", "dr1"})
    if (expected.has(name)) check_values(what + name, out.dq, expected[name], room);
  for (const char* name : {"dk", "dr7"})
    if (expected.has(name)) check_values(what + name, out.dk, expected[name], room);
  if (expected.has("dz")) {
    std::vector<float> dz = out.dq;
    for (size_t i = 0; i < dz.size(); ++i) dz[i] += out.dk[i];
    check_values(what + "dz", dz, expected["dz"]);
  }
}

}  // namespace

TEST(golden_values_in_every_backend) {
  const Json golden = bince_test::read_golden("contrastive");
  CHECK_EQ(golden["cases"].items.size(), size_t{10});
  for (const Json& item : golden["cases"].items) {
    const Case c = case_of(item);
    for (const std::string& backend : bince_test::available_backends()) {
      const bince_test::Context context(backend.c_str(), 2);
      check_case(item, c, context, false);
      check_case(item, c, context, true);
    }
  }
}
