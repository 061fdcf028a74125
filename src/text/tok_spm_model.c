/* tok_spm_model.c: the few fields of SentencePiece's protobuf file that are needed.
 *
 *   ModelProto { pieces 1 {piece 1, score 2, type 3}, trainer_spec 2, normalizer_spec 3 }
 *
 * Unknown fields are skipped, as protobuf does.
 *
 * Source: sentencepiece_model.proto. */
#include "text/tok_spm_model.h"

#include <stdlib.h>
#include <string.h>

typedef struct field {
    unsigned number;
    int kind;   /* 0 varint, 1 fixed64, 2 bytes, 5 fixed32 */
    uint64_t v; /* of a number */
    strv bytes;
} field;

static int read_varint(strv *in, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && in->n > 0; shift += 7) {
        unsigned char c = (unsigned char)*in->p++;
        in->n--;
        *out |= (uint64_t)(c & 127) << shift;
        if (c < 128) return 1;
    }
    return 0;
}

/* The next field of a message. -> 1 read, 0 at the end, -1 malformed */
static int next_field(strv *in, field *f)
{
    uint64_t tag, n;
    if (in->n == 0) return 0;
    if (!read_varint(in, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX) return -1;
    *f = (field){.number = (unsigned)(tag >> 3), .kind = (int)(tag & 7)};
    switch (f->kind) {
    case 0:
        return read_varint(in, &f->v) ? 1 : -1;
    case 2:
        if (!read_varint(in, &n) || n > in->n) return -1;
        f->bytes = strv_from(in->p, (size_t)n);
        break;
    case 1:
    case 5:
        n = f->kind == 1 ? 8 : 4;
        if (n > in->n) return -1;
        for (size_t i = 0; i < n; i++)
            f->v |= (uint64_t)(unsigned char)in->p[i] << 8 * i;
        break;
    default:
        return -1;
    }
    in->p += n;
    in->n -= (size_t)n;
    return 1;
}

static mlxe_status malformed(const spm *s, const char *what)
{
    return err_set(s->err, MLXE_E_CORRUPT, "%s: is no SentencePiece model: %s", s->where, what);
}

static mlxe_status read_piece(spm *s, strv in)
{
    spm_piece p = {.type = SPM_TYPE_NORMAL};
    field f;
    int rc;
    while ((rc = next_field(&in, &f)) > 0) {
        uint32_t bits = (uint32_t)f.v;
        if (f.number == 1 && f.kind == 2) p.text = f.bytes;
        if (f.number == 2 && f.kind == 5) memcpy(&p.score, &bits, 4);
        if (f.number == 3 && f.kind == 0) p.type = f.v > SPM_TYPE_BYTE ? SPM_TYPE_NORMAL : (int)f.v;
    }
    if (rc < 0 || !utf8_valid(p.text)) return malformed(s, "a piece");
    if (p.score != p.score || p.score - p.score != 0) return malformed(s, "a score");
    if (s->n == s->cap) {
        size_t cap = s->cap * 2 + 1024;
        spm_piece *more = realloc(s->v, cap * sizeof *more);
        if (!more) return err_memory(s->err, "vocabulary", cap * sizeof *more);
        s->v = more;
        s->cap = cap;
    }
    s->v[s->n++] = p;
    return MLXE_OK;
}

static mlxe_status read_trainer(spm *s, strv in)
{
    field f;
    int rc;
    while ((rc = next_field(&in, &f)) > 0) {
        if (f.kind == 2 && f.number == 45) s->names[ROLE_UNK] = f.bytes;
        if (f.kind == 2 && f.number == 46) s->names[ROLE_BOS] = f.bytes;
        if (f.kind == 2 && f.number == 47) s->names[ROLE_EOS] = f.bytes;
        if (f.kind != 0) continue;
        if (f.number == 3) s->model = f.v > 9 ? 9 : (int)f.v;
        if (f.number == 24) s->suffix_space = f.v != 0;
        if (f.number == 35) s->byte_fallback = f.v != 0;
        int id = f.v > INT32_MAX ? -1 : (int)f.v;
        if (f.number == 40) s->unk_id = id;
        if (f.number == 41) s->bos_id = id;
        if (f.number == 42) s->eos_id = id;
    }
    for (int i = 0; i < 3 && rc == 0; i++)
        if (!utf8_valid(s->names[i])) rc = -1;
    return rc < 0 ? malformed(s, "trainer_spec") : MLXE_OK;
}

static mlxe_status read_normalizer(spm *s, strv in)
{
    field f;
    int rc;
    while ((rc = next_field(&in, &f)) > 0) {
        if (f.number == 2 && f.kind == 2) s->charsmap = f.bytes;
        if (f.number == 3 && f.kind == 0) s->dummy_prefix = f.v != 0;
        if (f.number == 4 && f.kind == 0) s->joins_spaces = f.v != 0;
    }
    return rc < 0 ? malformed(s, "normalizer_spec") : MLXE_OK;
}

mlxe_status spm_read(spm *s, strv in)
{
    field f;
    int more;
    mlxe_status rc = MLXE_OK;
    while (rc == MLXE_OK && (more = next_field(&in, &f)) != 0) {
        if (more < 0) return malformed(s, "a field");
        if (f.kind != 2) continue;
        if (f.number == 1) rc = read_piece(s, f.bytes);
        if (f.number == 2) rc = read_trainer(s, f.bytes);
        if (f.number == 3) rc = read_normalizer(s, f.bytes);
    }
    if (rc) return rc;
    if (s->n == 0 || s->n > INT32_MAX / 2) return malformed(s, "its vocabulary");
    if (s->model != SPM_MODEL_UNIGRAM && s->model != SPM_MODEL_BPE)
        return err_set(s->err, MLXE_E_UNSUPPORTED,
                       "%s: SentencePiece model type %d is not supported, want unigram or BPE",
                       s->where, s->model);
    if (s->suffix_space)
        return err_set(s->err, MLXE_E_UNSUPPORTED,
                       "%s: treat_whitespace_as_suffix is not supported", s->where);
    return MLXE_OK;
}
