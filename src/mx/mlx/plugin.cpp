/* plugin.cpp: the MLX side of mx.h: scopes, evaluation, wrapped memory, C tasks as primitives.
 *
 *   handle (mx) -> slot of a scope -> mlx array
 *
 * Owns the lifetime rules. A slot outlives its array: dropping a handle empties the slot, so that
 * later use is an error; slots die with their scope. Evaluation moves the outputs out, empties
 * every other slot of the scope, and only then runs: a handle that lives on would keep its buffer
 * from being reused.
 *
 * Traps: an exception in a CPU task reaches eval() as runtime_error with its type lost, one that is
 * not a std::exception terminates the process, and after some hundred of them an eval waits for
 * ever (0.32.4): tasks never throw, they leave the typed error in the scope's failure record. After
 * an error of its own MLX leaves uninitialised arrays marked available:
 * the whole scope is dropped and the stream synchronised once. MLX's data pointers lie 8 bytes
 * after their buffer's start (a size header), which wrapping relies on: measured at start, not
 * assumed. */
#include "plugin_ops.h"

#include <mlx/backend/cpu/encoder.h>
#include <mlx/compile.h>
#include <mlx/memory.h>
#include <mlx/primitives.h>
#include <mlx/version.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <set>

namespace mlxe {

/* The first failure of a scope. Tasks on the stream's thread write it too. */
struct Failure {
    std::mutex lock;
    mlxe_error error{};
    bool set = false;
    std::atomic<bool> misused{false};

    void put(mlxe_status code, const char *message)
    {
        std::lock_guard<std::mutex> hold(lock);
        if (set) return;
        set = true;
        error.code = code;
        std::snprintf(error.message, sizeof error.message, "%.*s", int(sizeof error.message) - 1,
                      message);
    }
    bool failed()
    {
        if (misused) put(MLXE_E_STATE, "MLX: called from a thread that is not the MLX thread");
        std::lock_guard<std::mutex> hold(lock);
        return set;
    }
};

} // namespace mlxe

struct mx_array {
    std::optional<mlx::core::array> value; /* empty: dropped */
};

struct mx_scope {
    std::deque<mx_array> slots; /* stable addresses */
    std::shared_ptr<mlxe::Failure> failure = std::make_shared<mlxe::Failure>();
    const atomic_int *cancel = nullptr;
};

namespace mlxe {

static std::atomic<uint64_t> calls_run_count{0};
static std::atomic<uint64_t> handed_back{0}; /* tasks that are through: see Run */
static std::ptrdiff_t buffer_header = 0;     /* bytes from a buffer's start to its data */

static mx keep(mx_scope *g, mc::array a)
{
    g->slots.push_back(mx_array{std::move(a)});
    return &g->slots.back();
}

/* Runs f; what it throws becomes the scope's failure. op: for the message. */
template <class F> static mx guarded(mx_scope *g, const std::string &op, F &&f) noexcept
{
    try {
        if (g->failure->failed()) return nullptr;
        return keep(g, f());
    } catch (const std::bad_alloc &) {
        g->failure->put(MLXE_E_MEMORY, (op + ": out of memory").c_str());
    } catch (const std::exception &e) {
        g->failure->put(MLXE_E_ARG, (op + ": " + e.what()).c_str());
    } catch (...) {
        g->failure->put(MLXE_E_INTERNAL, (op + ": unknown exception").c_str());
    }
    return nullptr;
}

static std::string shapes_text(const std::vector<mc::array> &in)
{
    std::string text;
    for (const auto &a : in) {
        text += text.empty() ? "" : " ";
        text += '[';
        for (int i = 0; i < int(a.ndim()); i++)
            text += (i ? "," : "") + std::to_string(a.shape(i));
        text += ']';
    }
    return text;
}

/* Inputs of an op; false when one is missing (the failure that caused it is set already). */
static bool inputs(mx_scope *g, const char *op, const mx *in, int n, std::vector<mc::array> *out)
{
    for (int i = 0; i < n; i++) {
        if (!in[i]) {
            if (!g->failure->failed())
                g->failure->put(MLXE_E_STATE,
                                (std::string(op) + ": an input failed in another scope").c_str());
            return false;
        }
        if (!in[i]->value) {
            g->failure->put(MLXE_E_STATE,
                            (std::string(op) + ": an input was dropped by an eval").c_str());
            return false;
        }
        out->push_back(*in[i]->value);
    }
    return true;
}

static mc::Shape shape_of(const int32_t *shape, int dims) { return mc::Shape(shape, shape + dims); }

/* ---- tasks ----------------------------------------------------------------------------------- */

/* Primitive: a C function as a node. Immutable once built, as MLX requires. */
class Task : public mc::UnaryPrimitive {
  public:
    Task(mc::Stream s, const mx_call_spec &spec, std::shared_ptr<Failure> failure,
         const atomic_int *cancel)
        : UnaryPrimitive(s), spec_(spec),
          params_(static_cast<const char *>(spec.params),
                  static_cast<const char *>(spec.params) + spec.params_bytes),
          failure_(std::move(failure)), cancel_(cancel)
    {
    }

    void eval_cpu(const std::vector<mc::array> &in, mc::array &out) override
    {
        bool copy = false;
        if (spec_.start_from) {
            const auto &x = in[size_t(spec_.start_from - 1)];
            if (x.is_donatable()) {
                out.copy_shared_buffer(x);
            } else {
                out.set_data(mc::allocator::malloc(out.nbytes()));
                copy = true;
            }
        } else {
            out.set_data(mc::allocator::malloc(out.nbytes()));
        }
        auto &encoder = mc::cpu::get_command_encoder(stream());
        auto run = std::make_shared<Run>();
        run->n_in = int(in.size());
        for (size_t i = 0; i < in.size(); i++)
            run->in[i] = view_of(in[i]);
        run->out = view_of(out);
        run->copy_bytes = copy ? out.nbytes() : 0;
        run->spec = spec_;
        run->params = params_;
        run->failure = failure_;
        run->cancel = cancel_;
        run->posted.store(1, std::memory_order_release);
        encoder.dispatch([run] { run->go(); });
    }

    void eval_gpu(const std::vector<mc::array> &, mc::array &) override
    {
        throw std::runtime_error(std::string(spec_.name) + ": a CPU task on a GPU stream");
    }

    const char *name() const override { return spec_.name; }

  private:
    /* One execution, alive until the stream's thread is through with it. */
    struct Run {
        mx_view in[MX_MAX_INPUTS], out;
        int n_in;
        size_t copy_bytes;
        mx_call_spec spec;
        std::vector<char> params;
        std::shared_ptr<Failure> failure;
        const atomic_int *cancel;
        /* MLX's queue orders the threads; race detectors cannot see into it, so the two hand-overs
         * (posted here, handed_back there) are said in code that they see. */
        std::atomic<int> posted{0};

        /* Never throws: the failure is ours to report. Nodes behind a failed one see zeros (an
         * index of 0 is in range) and our own do nothing. */
        void go() noexcept
        {
            mlxe_error err{};
            mlxe_status rc = MLXE_E_INTERNAL;
            (void)posted.load(std::memory_order_acquire);
            if (!failure->failed()) {
                if (copy_bytes) std::memcpy(out.data, in[spec.start_from - 1].data, copy_bytes);
                std::snprintf(err.message, sizeof err.message, "failed");
                try {
                    rc = spec.task(params.data(), in, n_in, &out, cancel, &err);
                } catch (...) { /* C code throws only when it calls C++ that does */
                }
                calls_run_count.fetch_add(1, std::memory_order_relaxed);
                if (rc != MLXE_OK) report(rc, err.message);
            }
            if (rc != MLXE_OK)
                std::memset(out.data, 0, size_t(out.size) * mx_dtype_size(out.dtype));
            handed_back.fetch_add(1, std::memory_order_release);
        }

        void report(mlxe_status rc, const char *message) noexcept
        {
            char text[sizeof(mlxe_error::message) + 64];
            std::snprintf(text, sizeof text, "%s: %s", spec.name,
                          rc == MLXE_E_CANCELLED ? "cancelled" : message);
            failure->put(rc, text);
        }
    };

    static mx_view view_of(const mc::array &a)
    {
        mx_view v{};
        v.data = const_cast<char *>(a.data<char>());
        v.size = int64_t(a.size());
        v.dims = int(a.ndim());
        for (int i = 0; i < v.dims; i++)
            v.shape[i] = a.shape(i);
        v.dtype = c_dtype(a.dtype());
        return v;
    }

    mx_call_spec spec_;
    std::vector<char> params_;
    std::shared_ptr<Failure> failure_;
    const atomic_int *cancel_;
};

/* Row-major for sure: what a task has written is, and of a value it is known. A node less, 2 us. */
static bool lies_in_rows(const mc::array &a)
{
    if (a.is_available()) return a.flags().row_contiguous;
    return a.has_primitive() && dynamic_cast<const Task *>(&a.primitive());
}

static mx call(mx_scope *g, const mx_call_spec *spec, const mx *in, int n_in)
{
    std::vector<mc::array> args;
    if (g->failure->failed() || !inputs(g, spec->name, in, n_in, &args)) return nullptr;
    return guarded(g, spec->name, [&] {
        auto stream = mc::default_stream(mc::Device::cpu);
        auto shape = shape_of(spec->shape, spec->dims);
        auto dtype = mlx_dtype(spec->dtype);
        for (auto &a : args)
            if (!lies_in_rows(a)) a = mc::contiguous(a, false, stream);
        if (spec->start_from) {
            const auto &x = args.at(size_t(spec->start_from - 1));
            size_t size = 1;
            for (auto d : shape)
                size *= size_t(d);
            if (x.size() != size || x.dtype() != dtype)
                throw std::invalid_argument("output " + shapes_text({x}) +
                                            " does not match the input it starts from");
        }
        return mc::array(shape, dtype, std::make_shared<Task>(stream, *spec, g->failure, g->cancel),
                         std::move(args));
    });
}

/* ---- scopes ---------------------------------------------------------------------------------- */

static mlxe_status scope_open(const atomic_int *cancel, mx_scope **out, mlxe_error *err)
{
    *out = new (std::nothrow) mx_scope;
    if (*out) {
        (*out)->cancel = cancel;
        return MLXE_OK;
    }
    if (err) {
        err->code = MLXE_E_MEMORY;
        std::snprintf(err->message, sizeof err->message, "mx_scope: out of memory");
    }
    return MLXE_E_MEMORY;
}

static void scope_close(mx_scope *g)
{
    try {
        delete g;
    } catch (...) { /* destructors of arrays do not throw; nothing could be done */
    }
}

static mlxe_status status(mx_scope *g, mlxe_error *err)
{
    if (!g->failure->failed()) return MLXE_OK;
    if (err) *err = g->failure->error;
    return g->failure->error.code;
}

static void fail(mx_scope *g, mlxe_status code, const char *message)
{
    g->failure->put(code, message);
}
static void misuse(mx_scope *g) { g->failure->misused = true; }

/* After a failure: nothing of the graph may be used, and an error that nobody waited for would be
 * thrown by the next eval on this stream. */
static void drop_all(mx_scope *g)
{
    for (auto &slot : g->slots)
        slot.value.reset();
    try {
        mc::synchronize(mc::default_stream(mc::Device::cpu));
    } catch (...) { /* the error that we are reporting */
    }
}

static mlxe_status eval(mx_scope *g, mx *outs, int n, mlxe_error *err)
{
    std::vector<mc::array> results;
    if (!g->failure->failed()) inputs(g, "mx_eval", outs, n, &results);
    if (!g->failure->failed()) {
        try {
            for (auto &slot : g->slots)
                slot.value.reset();
            mc::eval(results);
            (void)handed_back.load(std::memory_order_acquire);
            for (int i = 0; i < n; i++)
                outs[i]->value = results[size_t(i)];
        } catch (const std::bad_alloc &) {
            g->failure->put(MLXE_E_MEMORY, "mx_eval: out of memory");
        } catch (const std::exception &e) {
            /* A task's own failure, if there is one, was recorded first and stays. */
            g->failure->put(std::strstr(e.what(), "allocate") ? MLXE_E_MEMORY : MLXE_E_INTERNAL,
                            (std::string("mx_eval: ") + e.what()).c_str());
        } catch (...) {
            g->failure->put(MLXE_E_INTERNAL, "mx_eval: unknown exception");
        }
    }
    if (!g->failure->failed()) return MLXE_OK;
    results.clear();
    drop_all(g);
    return status(g, err);
}

static mlxe_status read(mx_scope *g, mx a, void *p, size_t bytes, mlxe_error *err)
{
    std::vector<mc::array> in;
    if (!g->failure->failed() && inputs(g, "mx_read", &a, 1, &in)) {
        try {
            auto x = in[0];
            if (!x.is_available()) throw std::logic_error("array is not evaluated");
            if (x.nbytes() != bytes)
                throw std::logic_error("array has " + std::to_string(x.nbytes()) +
                                       " bytes, buffer " + std::to_string(bytes));
            if (!x.flags().row_contiguous) {
                x = mc::contiguous(x, false, mc::default_stream(mc::Device::cpu));
                mc::eval(x);
            }
            if (bytes) std::memcpy(p, x.data<char>(), bytes);
        } catch (const std::exception &e) {
            g->failure->put(MLXE_E_STATE, (std::string("mx_read: ") + e.what()).c_str());
        }
    }
    return status(g, err);
}

static int shape(mx a, int32_t *out)
{
    if (!a->value || a->value->ndim() > MX_MAX_DIMS) return -1;
    for (int i = 0; i < int(a->value->ndim()); i++)
        out[i] = a->value->shape(i);
    return int(a->value->ndim());
}

static int nodes(mx a)
{
    std::vector<mc::array> left;
    std::set<std::uintptr_t> seen;
    if (a->value) left.push_back(*a->value);
    int n = 0;
    while (!left.empty()) {
        auto at = left.back();
        left.pop_back();
        if (!at.has_primitive() || !seen.insert(at.id()).second) continue;
        n++;
        for (auto &in : at.inputs())
            left.push_back(in);
    }
    return n;
}

/* ---- arrays from outside --------------------------------------------------------------------- */

static mx from(mx_scope *g, const void *p, mx_dtype dtype, const int32_t *dims, int n)
{
    return guarded(g, "mx_from", [&] {
        auto shape = shape_of(dims, n);
        size_t bytes = mx_dtype_size(dtype);
        for (auto d : shape)
            bytes *= size_t(d);
        auto data = mc::allocator::malloc(bytes);
        if (bytes) std::memcpy(data.buffer().raw_ptr(), p, bytes);
        return mc::array(std::move(data), std::move(shape), mlx_dtype(dtype));
    });
}

static mx wrap(mx_scope *g, const void *p, mx_dtype dtype, const int32_t *dims, int n)
{
    return guarded(g, "mx_wrap", [&] {
        auto *start = const_cast<char *>(static_cast<const char *>(p)) - buffer_header;
        mc::allocator::Data data(mc::allocator::Buffer(start), [](mc::allocator::Buffer) {});
        return mc::array(std::move(data), shape_of(dims, n), mlx_dtype(dtype));
    });
}

static mx op(mx_scope *g, mx_op code, const mx *in, int n_in, const mx_attr *attr)
{
    static const char *const NAMES[] = {
#define NAME(name) "mx_" #name,
        MX_OP_LIST(NAME)
#undef NAME
    };
    std::vector<mc::array> args;
    if (g->failure->failed() || !inputs(g, NAMES[code], in, n_in, &args)) return nullptr;
    return guarded(g, std::string(NAMES[code]) + " of " + shapes_text(args),
                   [&] { return op_table[code](args, *attr); });
}

/* ---- the table ------------------------------------------------------------------------------- */

static mlxe_status start(mlxe_error *err)
{
    try {
        mc::disable_compile();
        mc::set_default_device(mc::Device::cpu);
        auto probe = mc::allocator::malloc(64);
        buffer_header = static_cast<char *>(probe.buffer().raw_ptr()) -
                        static_cast<char *>(probe.buffer().ptr());
        return MLXE_OK;
    } catch (const std::exception &e) {
        if (err) {
            err->code = MLXE_E_INTERNAL;
            std::snprintf(err->message, sizeof err->message, "MLX: cannot start, %s", e.what());
        }
        return MLXE_E_INTERNAL;
    }
}

static mx_memory memory()
{
    return {mc::get_active_memory(), mc::get_peak_memory(), mc::get_cache_memory()};
}

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
static const mx_plugin PLUGIN = {
    .abi = MX_PLUGIN_ABI,
    .kind = "cpu",
    .version = [] { return mc::version(); },
    .built_with = TEXT(MLX_VERSION_MAJOR) "." TEXT(MLX_VERSION_MINOR) "." TEXT(MLX_VERSION_PATCH),
    .start = start,
    .memory = memory,
    .reset_peak = [] { mc::reset_peak_memory(); },
    .scope_open = scope_open,
    .scope_close = scope_close,
    .status = status,
    .fail = fail,
    .eval = eval,
    .read = read,
    .shape = shape,
    .nodes = nodes,
    .from = from,
    .wrap = wrap,
    .op = op,
    .call = call,
    .calls_run = [] { return calls_run_count.load(); },
    .misuse = misuse,
};

} // namespace mlxe

extern "C" __attribute__((visibility("default"))) const mx_plugin *mlxe_plugin_entry(void)
{
    return &mlxe::PLUGIN;
}
