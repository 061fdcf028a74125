/* int8_avx512.h: what integer products need of AVX-512 with VNNI: 16 weight rows a vector.
 *
 * vpdpbusd adds four products of unsigned by signed bytes to a 32-bit lane without saturating, so a
 * code of any width goes in as it is. */
#ifndef KERNELS_INT8_AVX512_H
#define KERNELS_INT8_AVX512_H

#define Q_TILE       8 /* rows of x in a register tile */
#define Q_TILE_2     6 /* in one of two panels: fewer loads a product */
#define Q_KINDS      1
#define Q_KIND(bits) 0
#define Q_OFFSET     0
#define Q_RUN(kind)  16 /* dwords whose products may be summed before q_wide */

KN_INLINE vi q_load(const void *p) { return _mm512_loadu_si512(p); }
KN_INLINE void q_store(void *p, vi a) { _mm512_storeu_si512(p, a); }
KN_INLINE vi q_zero(void) { return _mm512_setzero_si512(); }
/* Four bytes, in every lane. */
KN_INLINE vi q_spread(const int8_t *p)
{
    int x;
    memcpy(&x, p, 4);
    return _mm512_set1_epi32(x);
}
KN_INLINE vi q_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
/* sums + w . x, four bytes a lane; q_wide makes 32-bit sums of such sums. Not the intrinsic: gcc
 * copies its sums forth and back in a loop, which takes a third of the time (gcc 12). */
KN_INLINE vi q_mac(int kind, vi sums, vi w, vi x)
{
    (void)kind;
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(w), "v"(x));
    return sums;
}
KN_INLINE vi q_wide(int kind, vi sums)
{
    (void)kind;
    return sums;
}
KN_INLINE vf q_float(vi a) { return _mm512_cvtepi32_ps(a); }

/* 16 bytes, codes in order: in each 8 the even ones come first. */
#define Q_ORDER 0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15

KN_INLINE __m128i q_bytes(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }

/* q[d], lane r: dword d of the 16 bytes of row r, r < VL; rows lie in groups of four, `stride`
 * bytes from row to row, `far` to the next group. ordered: the bytes are put in the order of
 * activations first. */
KN_INLINE void q_rows(const uint8_t *p, int64_t stride, int64_t far, int ordered, vi q[4])
{
    const vi order = _mm512_broadcast_i32x4(_mm_setr_epi8(Q_ORDER));
    const uint8_t *p1 = p + far, *p2 = p + 2 * far, *p3 = p + 3 * far;
    vi a, b, c, d;
    KN_UNROLL
    for (int j = 0; j < 4; j++) {
        vi v = _mm512_castsi128_si512(q_bytes(p + j * stride));
        v = _mm512_inserti32x4(v, q_bytes(p1 + j * stride), 1);
        v = _mm512_inserti32x4(v, q_bytes(p2 + j * stride), 2);
        v = _mm512_inserti32x4(v, q_bytes(p3 + j * stride), 3);
        q[j] = ordered ? v : _mm512_shuffle_epi8(v, order);
    }
    a = _mm512_unpacklo_epi32(q[0], q[1]), b = _mm512_unpacklo_epi32(q[2], q[3]);
    c = _mm512_unpackhi_epi32(q[0], q[1]), d = _mm512_unpackhi_epi32(q[2], q[3]);
    q[0] = _mm512_unpacklo_epi64(a, b);
    q[1] = _mm512_unpackhi_epi64(a, b);
    q[2] = _mm512_unpacklo_epi64(c, d);
    q[3] = _mm512_unpackhi_epi64(c, d);
}

/* The low and high halves of the bytes' eight bits. */
KN_INLINE vi q_low(vi a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
KN_INLINE vi q_high(vi a)
{
    const vi matrix = _mm512_set1_epi64(0x1020408000000000); /* a bit of a byte from each row */
    return _mm512_gf2p8affine_epi64_epi8(a, matrix, 0);
}

/* Byte i of every lane; bits shifted left (n < 0: right, unsigned). */
KN_INLINE vi q_byte_of(vi a, int i)
{
    return _mm512_and_si512(_mm512_srli_epi32(a, (unsigned)(8 * i)), _mm512_set1_epi32(255));
}
KN_INLINE vi q_left(vi a, int n)
{
    return n < 0 ? _mm512_srli_epi32(a, (unsigned)-n) : _mm512_slli_epi32(a, (unsigned)n);
}
/* e2m1 codes as bytes: 12 + 2 * value. */
KN_INLINE vi q_fp4(vi codes)
{
    const __m128i table = _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), codes);
}

/* Strips (tpl_few.h): 64 bytes of a row. */
#define Q_STRIP(bits) (HALF_BYTES(bits) ? 128 : 64)
#define Q_STRIP_UNITS 4
#define Q_STRIP_X     2

/* Activations as a row's codes lie: 4 bits, those of low and of high halves; 8 bits, in order. */
KN_INLINE void q_strip_x(int bits, const int8_t *q, vi x[Q_STRIP_X])
{
    const vi even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m128i in_order = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    vi a = q_load(q);
    if (HALF_BYTES(bits)) {
        vi b = q_load(q + 64);
        x[0] = _mm512_permutex2var_epi32(a, even, b);
        x[1] = _mm512_permutex2var_epi32(a, q_add(even, _mm512_set1_epi32(1)), b);
    } else {
        x[0] = bits == 8 ? _mm512_shuffle_epi8(a, _mm512_broadcast_i32x4(in_order)) : a;
    }
}

/* Sums of four rows' lanes, in each 128 bits. Up to 5 bits, what two lanes hold fits in 16 bits:
 * 8 * 31 * 127, and 16 * 15 * 127 of 4-bit codes. bits 32: it does not. */
KN_INLINE vi q_sum_4(int bits, const vi s[4])
{
    const vi ones = _mm512_set1_epi16(1);
    vi ab, cd;
    if (bits <= 5) {
        ab = _mm512_madd_epi16(_mm512_packs_epi32(s[0], s[1]), ones);
        cd = _mm512_madd_epi16(_mm512_packs_epi32(s[2], s[3]), ones);
        return _mm512_madd_epi16(_mm512_packs_epi32(ab, cd), ones);
    }
    ab = q_add(_mm512_unpacklo_epi32(s[0], s[1]), _mm512_unpackhi_epi32(s[0], s[1]));
    cd = q_add(_mm512_unpacklo_epi32(s[2], s[3]), _mm512_unpackhi_epi32(s[2], s[3]));
    return q_add(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* t[i]: rows 4 i .. 4 i + 3, in each 128 bits; `parts` of these make a unit. */
KN_INLINE void q_sum_units(int parts, const vi t[4], vi out[4])
{
    vi a = _mm512_shuffle_i32x4(t[0], t[1], 0x88), b = _mm512_shuffle_i32x4(t[0], t[1], 0xdd);
    vi c = _mm512_shuffle_i32x4(t[2], t[3], 0x88), d = _mm512_shuffle_i32x4(t[2], t[3], 0xdd);
    if (parts == 1) {
        out[0] = _mm512_shuffle_i32x4(a, c, 0x88);
        out[1] = _mm512_shuffle_i32x4(b, d, 0x88);
        out[2] = _mm512_shuffle_i32x4(a, c, 0xdd);
        out[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
        return;
    }
    a = q_add(a, b), c = q_add(c, d);
    out[0] = _mm512_shuffle_i32x4(a, c, 0x88);
    out[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
    if (parts == 4) out[0] = q_add(out[0], out[1]);
}

/* sums + the products of a row's codes, `low` and `high` halves of bytes or `low` alone, with x. */
KN_INLINE vi q_meet(int bits, vi sums, vi low, vi high, const vi x[Q_STRIP_X])
{
    sums = q_mac(0, sums, low, x[0]);
    return HALF_BYTES(bits) ? q_mac(0, sums, high, x[1]) : sums;
}

/* out[i][r], lane l: sum of unit i of weight row l, with row r of x. Rows as for q_rows; rows, ask,
 * lines: as for strip(). */
KN_INLINE void q_strip(int bits, int rows, int unit, const uint8_t *w, int64_t stride, int64_t far,
                       const uint8_t *ask, int lines, vi x[2][Q_STRIP_X], vi out[Q_STRIP_UNITS][2])
{
    const int mr = rows == TWO ? 2 : 1;
    vi t[2][4], units[4];
    KN_UNROLL
    for (int i = 0; i < 4; i++, w += far) {
        vi s[2][4];
        KN_OPAQUE(w);
        KN_UNROLL
        for (int j = 0; j < 4; j++) {
            vi v = q_load(w + j * stride);
            __asm__("" : "+v"(v)); /* once: gcc would load it for each half of its bytes */
            if (j < lines) prefetch_near(ask + i * far, j * 64);
            vi low = HALF_BYTES(bits) ? q_low(v) : v, high = q_high(v);
            if (bits == Q_E2M1) low = q_fp4(low), high = q_fp4(high);
            for (int r = 0; r < mr; r++)
                s[r][j] = q_meet(bits, q_zero(), low, high, x[r]);
            if (rows == TWICE) s[0][j] = q_meet(bits, q_left(s[0][j], 7), low, high, x[1]);
        }
        for (int r = 0; r < mr; r++)
            t[r][i] = q_sum_4(rows == TWICE ? 32 : bits, s[r]);
    }
    for (int r = 0; r < mr; r++) {
        q_sum_units(unit / (HALF_BYTES(bits) ? 32 : 16), t[r], units);
        for (int i = 0; i < Q_STRIP(bits) / unit; i++)
            out[i][r] = units[i];
    }
}

/* The two 16-bit numbers of every lane as f32; f32 lanes as they are. */
KN_INLINE vf q_half(kn_dtype dtype, vi a, int high)
{
    if (dtype == KN_BF16)
        return _mm512_castsi512_ps(high ? _mm512_and_si512(a, _mm512_set1_epi32((int)0xffff0000))
                                        : _mm512_slli_epi32(a, 16));
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(high ? _mm512_srli_epi32(a, 16) : a));
}
KN_INLINE vf q_as_float(vi a) { return _mm512_castsi512_ps(a); }

/* Eight codes are `bits` bytes: they are brought into one qword and cut out of it in order. */
#define Q_FROM(b, l)                                                                               \
    (l) * (b), (l) * (b) + 1, (l) * (b) + 2, (l) * (b) + 3, (l) * (b) + 4, (l) * (b) + 5,          \
        ((l) * (b) + 6) & 63, ((l) * (b) + 7) & 63
#define Q_FROM_ALL(b)                                                                              \
    {                                                                                              \
        Q_FROM(b, 0), Q_FROM(b, 1), Q_FROM(b, 2), Q_FROM(b, 3), Q_FROM(b, 4), Q_FROM(b, 5),        \
            Q_FROM(b, 6), Q_FROM(b, 7)                                                             \
    }
static const uint8_t Q_FROM_TABLE[7][64] = {[2] = Q_FROM_ALL(2),
                                            [3] = Q_FROM_ALL(3),
                                            [4] = Q_FROM_ALL(4),
                                            [5] = Q_FROM_ALL(5),
                                            [6] = Q_FROM_ALL(6)};

/* n codes (a multiple of 32) of one row become bytes in order. */
KN_INLINE void q_expand(int bits, const uint8_t *p, int n, uint8_t *out)
{
    const long long b = bits;
    const vi from = q_load(Q_FROM_TABLE[bits]), mask = _mm512_set1_epi8((char)((1 << bits) - 1));
    const vi field = _mm512_set1_epi64(2 * b << 8 | 4 * b << 16 | 6 * b << 24 | b << 32 |
                                       3 * b << 40 | 5 * b << 48 | 7 * b << 56);
    for (int i = 0; i < n; i += 64) {
        int codes = n - i < 64 ? 32 : 64;
        vi v = _mm512_maskz_loadu_epi8(~0ull >> (64 - codes * bits / 8), p + i * bits / 8);
        v = _mm512_multishift_epi64_epi8(field, _mm512_permutexvar_epi8(from, v));
        _mm512_mask_storeu_epi8(out + i, ~0ull >> (64 - codes), _mm512_and_si512(v, mask));
    }
}

/* 16 whole numbers, |x| <= 127, as bytes in order. */
KN_INLINE void q_put16(int8_t *out, const vf x[16 / VL])
{
    __m128i b = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x[0]));
    _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(b, _mm_setr_epi8(Q_ORDER)));
}

#endif
