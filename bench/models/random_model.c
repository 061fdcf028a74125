/* random_model.c: writes a random decoder model of a named shape, in the format of each engine that
 * is compared, in seconds and without any package.
 *
 *   random_model SHAPE mlx BITS DIR     safetensors as MLX packs them: BITS 4 or 8 (groups of 64,
 *                                       bf16 scales) or 0 (bf16), config.json, tokenizer.json
 *   random_model SHAPE gguf F16|BF16 FILE     the same shape as GGUF, for llama-quantize
 *
 * Shapes, packing and files are real, the weights are noise of the right size: matrices have a
 * standard deviation of 1/sqrt(inputs), norms are ones. The tokenizer is a byte-level BPE whose
 * vocabulary and merges are as many as the shape's vocabulary says, of random pieces, so that
 * loading it costs what a real one costs.
 *
 * Sources: the safetensors format; MLX's affine packing (codes little-endian, low bits first);
 * GGUF version 3. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct shape {
    const char *name, *arch; /* llama or qwen3: qwen3 norms q and k per head */
    int hidden, layers, heads, kv_heads, d, ffn, vocab, tied, context;
} shape;

static const shape SHAPES[] = {
    {"0.35b", "llama", 1024, 24, 16, 8, 64, 2816, 32000, 0, 8192},
    {"1.2b", "llama", 2048, 16, 32, 8, 64, 8192, 32000, 0, 8192},
    {"1.2b-128k", "llama", 2048, 16, 32, 8, 64, 8192, 128256, 1, 8192},
    {"pocket", "qwen3", 384, 8, 6, 2, 64, 768, 4096, 1, 2048},
};

enum { POOL = 1 << 20, GROUP = 64, MOST_TENSORS = 4096, GGUF_ALIGN = 32 };
enum { GGUF_U32 = 4, GGUF_I32 = 5, GGUF_F32 = 6, GGUF_BOOL = 7, GGUF_STRING = 8, GGUF_ARRAY = 9 };
enum { TYPE_F32 = 0, TYPE_F16 = 1, TYPE_BF16 = 30 };

static void fail(const char *what)
{
    fprintf(stderr, "random_model: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *need(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p) fail("memory");
    return p;
}

static void put(FILE *f, const void *p, size_t n)
{
    if (n && fwrite(p, 1, n, f) != n) fail("write");
}

/* ---- noise ----------------------------------------------------------------------------------- */

static uint64_t state = 0x853C49E6748FEA9Bu;

static uint64_t noise(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static double uniform(void) { return (double)(noise() >> 11) * 0x1p-53; }

static uint16_t bf16_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* Of normal numbers and zero; smaller ones become zero. */
static uint16_t f16_of(float x)
{
    uint32_t u, sign, value;
    memcpy(&u, &x, sizeof u);
    sign = u >> 16 & 0x8000;
    value = u & 0x7fffffff;
    if (value < 0x38800000) return (uint16_t)sign;
    return (uint16_t)(sign | (value - 0x38000000 + 0xfff + (value >> 13 & 1)) >> 13);
}

/* n normals of a standard deviation in 16 bits: runs out of a pool, each at random. */
static void put_normals(FILE *f, size_t n, double deviation, int type)
{
    static float *pool;
    static uint16_t *stored;
    static double stored_deviation;
    if (!pool) {
        pool = need(POOL * sizeof *pool);
        stored = need(POOL * sizeof *stored);
        for (size_t i = 0; i < POOL; i++)
            pool[i] = (float)(sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform()));
    }
    if (stored_deviation != deviation) {
        stored_deviation = deviation;
        for (size_t i = 0; i < POOL; i++) {
            float x = pool[i] * (float)deviation;
            stored[i] = type == TYPE_BF16 ? bf16_of(x) : f16_of(x);
        }
    }
    while (n > 0) {
        size_t from = noise() % (POOL / 2), run = POOL - from;
        if (run > n) run = n;
        put(f, stored + from, run * sizeof *stored);
        n -= run;
    }
}

static void put_codes(FILE *f, size_t bytes)
{
    uint64_t block[4096];
    while (bytes > 0) {
        size_t n = bytes < sizeof block ? bytes : sizeof block;
        for (size_t i = 0; i < sizeof block / sizeof *block; i++)
            block[i] = noise() * 0x9E3779B97F4A7C15u;
        put(f, block, n);
        bytes -= n;
    }
}

/* Steps of groups whose uniform codes have mean zero and this deviation, or their offsets. */
static void put_steps(FILE *f, size_t n, int bits, double deviation, int offsets)
{
    double levels = (double)((1 << bits) - 1), step = deviation * sqrt(12) / levels;
    uint64_t keep = state;
    state = 0x2545F4914F6CDD1Du; /* both tensors draw the same */
    while (n-- > 0) {
        double x = step * (0.8 + 0.4 * uniform());
        uint16_t stored = bf16_of((float)(offsets ? -x * levels / 2 : x));
        put(f, &stored, sizeof stored);
    }
    state = keep;
}

/* ---- the tensors of a shape ------------------------------------------------------------------ */

typedef struct matrix {
    char name[96], gguf[64];
    int rows, cols; /* rows 1: a norm */
} matrix;

typedef struct model {
    const shape *s;
    matrix *items;
    int n;
} model;

static void add(model *m, const char *name, const char *gguf, int layer, int rows, int cols)
{
    matrix *t = &m->items[m->n++];
    t->rows = rows;
    t->cols = cols;
    if (layer < 0) {
        snprintf(t->name, sizeof t->name, "%s", name);
        snprintf(t->gguf, sizeof t->gguf, "%s.weight", gguf);
    } else {
        snprintf(t->name, sizeof t->name, "model.layers.%d.%s", layer, name);
        snprintf(t->gguf, sizeof t->gguf, "blk.%d.%s.weight", layer, gguf);
    }
}

static model model_of(const shape *s)
{
    model m = {s, need(MOST_TENSORS * sizeof *m.items), 0};
    int e = s->hidden, q = s->heads * s->d, k = s->kv_heads * s->d;
    add(&m, "model.embed_tokens", "token_embd", -1, s->vocab, e);
    for (int i = 0; i < s->layers; i++) {
        add(&m, "input_layernorm", "attn_norm", i, 1, e);
        add(&m, "self_attn.q_proj", "attn_q", i, q, e);
        add(&m, "self_attn.k_proj", "attn_k", i, k, e);
        add(&m, "self_attn.v_proj", "attn_v", i, k, e);
        add(&m, "self_attn.o_proj", "attn_output", i, e, q);
        if (!strcmp(s->arch, "qwen3")) {
            add(&m, "self_attn.q_norm", "attn_q_norm", i, 1, s->d);
            add(&m, "self_attn.k_norm", "attn_k_norm", i, 1, s->d);
        }
        add(&m, "post_attention_layernorm", "ffn_norm", i, 1, e);
        add(&m, "mlp.gate_proj", "ffn_gate", i, s->ffn, e);
        add(&m, "mlp.up_proj", "ffn_up", i, s->ffn, e);
        add(&m, "mlp.down_proj", "ffn_down", i, e, s->ffn);
    }
    add(&m, "model.norm", "output_norm", -1, 1, e);
    if (!s->tied) add(&m, "lm_head", "output", -1, s->vocab, e);
    return m;
}

/* ---- safetensors ----------------------------------------------------------------------------- */

typedef struct header {
    char *text;
    size_t n, cap;
    uint64_t at; /* of the next tensor's bytes */
} header;

static void describe(header *h, const char *name, const char *part, const char *dtype, int rows,
                     int cols, uint64_t bytes)
{
    char dims[40];
    if (h->n + 400 > h->cap) {
        h->cap = 2 * h->cap + 4096;
        h->text = realloc(h->text, h->cap);
        if (!h->text) fail("memory");
    }
    if (rows > 1)
        snprintf(dims, sizeof dims, "%d,%d", rows, cols);
    else
        snprintf(dims, sizeof dims, "%d", cols);
    h->n += (size_t)snprintf(
        h->text + h->n, h->cap - h->n,
        "%s\"%s.%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}",
        h->n ? "," : "{\"__metadata__\":{\"format\":\"mlx\"},", name, part, dtype, dims,
        (unsigned long long)h->at, (unsigned long long)(h->at + bytes));
    h->at += bytes;
}

static void write_safetensors(const model *m, int bits, const char *path)
{
    header h = {0};
    FILE *f = fopen(path, "wb");
    uint64_t length;
    if (!f) fail(path);
    for (int i = 0; i < m->n; i++) {
        const matrix *t = &m->items[i];
        uint64_t n = (uint64_t)t->rows * (uint64_t)t->cols;
        if (!bits || t->rows == 1) {
            describe(&h, t->name, "weight", "BF16", t->rows, t->cols, n * 2);
            continue;
        }
        describe(&h, t->name, "weight", "U32", t->rows, t->cols * bits / 32,
                 n * (uint64_t)bits / 8);
        describe(&h, t->name, "scales", "BF16", t->rows, t->cols / GROUP, n / GROUP * 2);
        describe(&h, t->name, "biases", "BF16", t->rows, t->cols / GROUP, n / GROUP * 2);
    }
    length = (h.n + 1 + 7) / 8 * 8;
    put(f, &length, sizeof length);
    put(f, h.text, h.n);
    fputc('}', f);
    for (uint64_t i = h.n + 1; i < length; i++)
        fputc(' ', f);
    for (int i = 0; i < m->n; i++) {
        const matrix *t = &m->items[i];
        size_t n = (size_t)t->rows * (size_t)t->cols;
        double deviation = 1 / sqrt(t->cols);
        uint16_t one = bf16_of(1);
        if (t->rows == 1) {
            for (size_t j = 0; j < n; j++)
                put(f, &one, sizeof one);
        } else if (!bits) {
            put_normals(f, n, deviation, TYPE_BF16);
        } else {
            put_codes(f, n * (size_t)bits / 8);
            put_steps(f, n / GROUP, bits, deviation, 0);
            put_steps(f, n / GROUP, bits, deviation, 1);
        }
    }
    free(h.text);
    if (fclose(f)) fail(path);
}

static void write_config(const shape *s, int bits, const char *path)
{
    FILE *f = fopen(path, "wb");
    int llama = !strcmp(s->arch, "llama");
    if (!f) fail(path);
    fprintf(f,
            "{\"model_type\":\"%s\",\"architectures\":[\"%s\"],\"hidden_size\":%d,"
            "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"num_key_value_heads\":%d,"
            "\"head_dim\":%d,\"intermediate_size\":%d,\"vocab_size\":%d,"
            "\"max_position_embeddings\":%d,\"rms_norm_eps\":1e-05,\"rope_theta\":10000.0,"
            "\"hidden_act\":\"silu\",\"attention_bias\":false,\"tie_word_embeddings\":%s,"
            "\"torch_dtype\":\"bfloat16\",\"eos_token_id\":%d",
            s->arch, llama ? "LlamaForCausalLM" : "Qwen3ForCausalLM", s->hidden, s->layers,
            s->heads, s->kv_heads, s->d, s->ffn, s->vocab, s->context, s->tied ? "true" : "false",
            s->vocab - 1);
    if (bits) fprintf(f, ",\"quantization\":{\"group_size\":%d,\"bits\":%d}", GROUP, bits);
    fputs("}\n", f);
    if (fclose(f)) fail(path);
}

/* ---- tokenizer: byte-level BPE of random merges ---------------------------------------------- */

typedef struct piece {
    uint8_t bytes[12];
    int n;
} piece;

/* The printable character that stands for a byte in byte-level vocabularies. */
static int byte_symbol(int byte)
{
    int shift = 0;
    for (int b = 0; b <= byte; b++) {
        int plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (b == byte) return plain ? b : 256 + shift;
        shift += !plain;
    }
    return byte;
}

static void put_piece(FILE *f, const piece *p)
{
    fputc('"', f);
    for (int i = 0; i < p->n; i++) {
        int c = byte_symbol(p->bytes[i]);
        if (c == '"' || c == '\\') fputc('\\', f);
        if (c < 0x80) {
            fputc(c, f);
        } else {
            fputc(0xC0 | c >> 6, f);
            fputc(0x80 | (c & 0x3F), f);
        }
    }
    fputc('"', f);
}

static uint64_t piece_hash(const piece *p)
{
    uint64_t h = 14695981039346656037u;
    for (int i = 0; i < p->n; i++)
        h = (h ^ p->bytes[i]) * 1099511628211u;
    return h ^ h >> 29;
}

/* 1: it was not there before. table holds indices + 1 into pieces. */
static int piece_new(const piece *pieces, int *table, size_t mask, const piece *p, int index)
{
    size_t at = piece_hash(p) & mask;
    for (; table[at]; at = (at + 1) & mask) {
        const piece *other = &pieces[table[at] - 1];
        if (other->n == p->n && !memcmp(other->bytes, p->bytes, (size_t)p->n)) return 0;
    }
    table[at] = index + 1;
    return 1;
}

static void write_tokenizer(const shape *s, const char *path)
{
    int n = s->vocab - 1, (*merges)[2] = need((size_t)n * sizeof *merges); /* the last: the end */
    size_t mask = ((size_t)1 << 20) - 1;
    piece *pieces = need((size_t)n * sizeof *pieces);
    int *table = calloc(mask + 1, sizeof *table);
    FILE *f = fopen(path, "wb");
    if (!f || !table) fail(path);
    for (int i = 0; i < n; i++) {
        piece p = {{(uint8_t)i}, 1};
        int a = 0, b = 0;
        do {
            if (i < 256) continue;
            a = (int)(noise() % (uint64_t)i);
            b = (int)(noise() % (uint64_t)i);
            p.n = pieces[a].n + pieces[b].n;
            if (p.n > (int)sizeof p.bytes) continue;
            memcpy(p.bytes, pieces[a].bytes, (size_t)pieces[a].n);
            memcpy(p.bytes + pieces[a].n, pieces[b].bytes, (size_t)pieces[b].n);
        } while (p.n > (int)sizeof p.bytes || !piece_new(pieces, table, mask, &p, i));
        pieces[i] = p;
        merges[i][0] = a;
        merges[i][1] = b;
    }
    fprintf(
        f,
        "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":%d,"
        "\"content\":\"<|end|>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
        "\"normalized\":false,\"special\":true}],\"normalizer\":null,\"pre_tokenizer\":{\"type\":"
        "\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},"
        "\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
        "\"trim_offsets\":true,\"use_regex\":true},\"model\":{\"type\":\"BPE\",\"dropout\":null,"
        "\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
        "\"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":{",
        n);
    for (int i = 0; i < n; i++) {
        put_piece(f, &pieces[i]);
        fprintf(f, ":%d,", i);
    }
    fprintf(f, "\"<|end|>\":%d},\"merges\":[", n);
    for (int i = 256; i < n; i++) {
        fputs(i > 256 ? ",[" : "[", f);
        put_piece(f, &pieces[merges[i][0]]);
        fputc(',', f);
        put_piece(f, &pieces[merges[i][1]]);
        fputc(']', f);
    }
    fputs("]}}\n", f);
    if (fclose(f)) fail(path);
    free(pieces);
    free(merges);
    free(table);
}

/* ---- GGUF ------------------------------------------------------------------------------------ */

static void put_u32(FILE *f, uint32_t x) { put(f, &x, sizeof x); }
static void put_u64(FILE *f, uint64_t x) { put(f, &x, sizeof x); }

static void put_string(FILE *f, const char *text)
{
    put_u64(f, strlen(text));
    put(f, text, strlen(text));
}

static int keys_put;

static void key(FILE *f, const char *prefix, const char *name, uint32_t type)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    put_string(f, full);
    put_u32(f, type);
    keys_put++;
}

static void key_u32(FILE *f, const char *prefix, const char *name, int value)
{
    key(f, prefix, name, GGUF_U32);
    put_u32(f, (uint32_t)value);
}

static void key_f32(FILE *f, const char *prefix, const char *name, float value)
{
    key(f, prefix, name, GGUF_F32);
    put(f, &value, sizeof value);
}

static void key_string(FILE *f, const char *name, const char *value)
{
    key(f, "", name, GGUF_STRING);
    put_string(f, value);
}

static void key_array(FILE *f, const char *name, uint32_t type, int n)
{
    key(f, "tokenizer.ggml.", name, GGUF_ARRAY);
    put_u32(f, type);
    put_u64(f, (uint64_t)n);
}

/* <unk> <s> </s>, 256 bytes, then numbered pieces: a sentencepiece vocabulary for llama.cpp. */
static void put_vocabulary(FILE *f, int vocab)
{
    static const char *const FIRST[] = {"<unk>", "<s>", "</s>"};
    key_string(f, "tokenizer.ggml.model", "llama");
    key_string(f, "tokenizer.ggml.pre", "default");
    key_array(f, "tokens", GGUF_STRING, vocab);
    for (int i = 0; i < vocab; i++) {
        char text[32];
        if (i < 3)
            snprintf(text, sizeof text, "%s", FIRST[i]);
        else if (i < 259)
            snprintf(text, sizeof text, "<0x%02X>", (unsigned)(i - 3));
        else
            snprintf(text, sizeof text, "t%d", i);
        put_string(f, text);
    }
    key_array(f, "scores", GGUF_F32, vocab);
    for (int i = 0; i < vocab; i++) {
        float score = i < 259 ? 0 : -(float)(i - 258);
        put(f, &score, sizeof score);
    }
    key_array(f, "token_type", GGUF_I32, vocab);
    for (int i = 0; i < vocab; i++)
        put_u32(f, i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1);
    key_u32(f, "tokenizer.ggml.", "bos_token_id", 1);
    key_u32(f, "tokenizer.ggml.", "eos_token_id", 2);
    key_u32(f, "tokenizer.ggml.", "unknown_token_id", 0);
}

static void put_metadata(FILE *f, const shape *s, int type)
{
    char prefix[16];
    snprintf(prefix, sizeof prefix, "%s.", s->arch);
    key_string(f, "general.architecture", s->arch);
    key_string(f, "general.name", s->name);
    key_u32(f, "general.", "file_type", type == TYPE_BF16 ? 32 : 1);
    key_u32(f, "general.", "alignment", GGUF_ALIGN);
    key_u32(f, prefix, "context_length", s->context);
    key_u32(f, prefix, "embedding_length", s->hidden);
    key_u32(f, prefix, "block_count", s->layers);
    key_u32(f, prefix, "feed_forward_length", s->ffn);
    key_u32(f, prefix, "attention.head_count", s->heads);
    key_u32(f, prefix, "attention.head_count_kv", s->kv_heads);
    key_u32(f, prefix, "attention.key_length", s->d);
    key_u32(f, prefix, "attention.value_length", s->d);
    key_f32(f, prefix, "attention.layer_norm_rms_epsilon", 1e-5f);
    key_u32(f, prefix, "rope.dimension_count", s->d);
    key_f32(f, prefix, "rope.freq_base", 10000);
    key_u32(f, prefix, "vocab_size", s->vocab);
    put_vocabulary(f, s->vocab);
}

static uint64_t stored_bytes(const matrix *t)
{
    return (uint64_t)t->rows * (uint64_t)t->cols * (t->rows == 1 ? 4 : 2);
}

static void pad(FILE *f, uint64_t bytes)
{
    while (bytes++ % GGUF_ALIGN)
        fputc(0, f);
}

static void write_gguf(const model *m, int type, const char *path)
{
    FILE *f = fopen(path, "wb");
    uint64_t at = 0;
    long counts;
    if (!f) fail(path);
    put(f, "GGUF", 4);
    put_u32(f, 3);
    put_u64(f, (uint64_t)m->n);
    counts = ftell(f);
    put_u64(f, 0); /* keys: counted below */
    put_metadata(f, m->s, type);
    for (int i = 0; i < m->n; i++) {
        const matrix *t = &m->items[i];
        put_string(f, t->gguf);
        put_u32(f, t->rows == 1 ? 1 : 2);
        put_u64(f, (uint64_t)t->cols);
        if (t->rows > 1) put_u64(f, (uint64_t)t->rows);
        put_u32(f, t->rows == 1 ? TYPE_F32 : (uint32_t)type);
        put_u64(f, at);
        at += (stored_bytes(t) + GGUF_ALIGN - 1) / GGUF_ALIGN * GGUF_ALIGN;
    }
    pad(f, (uint64_t)ftell(f));
    for (int i = 0; i < m->n; i++) {
        const matrix *t = &m->items[i];
        float one = 1;
        if (t->rows > 1) put_normals(f, (size_t)t->rows * (size_t)t->cols, 1 / sqrt(t->cols), type);
        for (int j = 0; t->rows == 1 && j < t->cols; j++)
            put(f, &one, sizeof one);
        pad(f, stored_bytes(t));
    }
    if (fseek(f, counts, SEEK_SET)) fail(path);
    put_u64(f, (uint64_t)keys_put);
    if (fclose(f)) fail(path);
}

/* ---- command line ---------------------------------------------------------------------------- */

static int usage(void)
{
    fputs("usage: random_model SHAPE mlx 0|4|8 DIR | SHAPE gguf F16|BF16 FILE\nshapes:", stderr);
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        fprintf(stderr, " %s", SHAPES[i].name);
    fputc('\n', stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const shape *s = NULL;
    char path[4096];
    model m;
    for (size_t i = 0; argc == 5 && i < sizeof SHAPES / sizeof *SHAPES; i++)
        if (!strcmp(argv[1], SHAPES[i].name)) s = &SHAPES[i];
    if (!s) return usage();
    m = model_of(s);
    if (!strcmp(argv[2], "gguf") && (!strcmp(argv[3], "F16") || !strcmp(argv[3], "BF16"))) {
        write_gguf(&m, argv[3][0] == 'B' ? TYPE_BF16 : TYPE_F16, argv[4]);
    } else if (!strcmp(argv[2], "mlx") && strchr("048", argv[3][0]) && strlen(argv[3]) == 1) {
        int bits = argv[3][0] - '0';
        if (mkdir(argv[4], 0777) && errno != EEXIST) fail(argv[4]);
        snprintf(path, sizeof path, "%s/config.json", argv[4]);
        write_config(s, bits, path);
        snprintf(path, sizeof path, "%s/tokenizer.json", argv[4]);
        write_tokenizer(s, path);
        snprintf(path, sizeof path, "%s/model.safetensors", argv[4]);
        write_safetensors(&m, bits, path);
    } else {
        return usage();
    }
    free(m.items);
    return 0;
}
