/* int8_avx2.h: what integer products need of AVX2: 8 weight rows a vector.
 *
 * vpmaddubsw multiplies unsigned by signed bytes and adds pairs into 16 bits, saturating. With
 * |x| <= 127 a pair is at most 2 * 127 * (2^bits - 1), so up to 4 bits eight of them, at 5 and 6
 * bits two of them may be summed in 16 bits. 8-bit codes would saturate at once: they are kept as
 * code - 128, and |w| is multiplied by x with the sign of w: a pair is at most 2 * 128 * 127. */
#ifndef KERNELS_INT8_AVX2_H
#define KERNELS_INT8_AVX2_H

#define Q_TILE       4 /* rows of x in a register tile */
#define Q_TILE_2     0 /* two panels at once: not so */
#define Q_KINDS      3
#define Q_KIND(bits) ((bits) <= 4 ? 0 : (bits) == 8 ? 2 : 1)
#define Q_OFFSET     128 /* what 8-bit codes are less */
#define Q_RUN(kind)  ((kind) == 0 ? 8 : (kind) == 1 ? 2 : 1)

KN_INLINE vi q_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
KN_INLINE void q_store(void *p, vi a) { _mm256_storeu_si256((__m256i *)p, a); }
KN_INLINE vi q_zero(void) { return _mm256_setzero_si256(); }
KN_INLINE vi q_spread(const int8_t *p)
{
    int x;
    memcpy(&x, p, 4);
    return _mm256_set1_epi32(x);
}
KN_INLINE vi q_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
/* Not the intrinsics: gcc copies its sums forth and back in a loop, and spreads all rows before it
 * uses the first, for which there are no registers. With the signs it does better alone. */
KN_INLINE vi q_mac(int kind, vi sums, vi w, vi x)
{
    vi pairs;
    if (kind == 2) {
        pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
        return _mm256_add_epi16(sums, pairs);
    }
    __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0"
            : "+x"(sums), "=&x"(pairs)
            : "x"(w), "x"(x));
    return sums;
}
KN_INLINE vi q_wide(int kind, vi sums)
{
    (void)kind;
    return _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
}
KN_INLINE vf q_float(vi a) { return _mm256_cvtepi32_ps(a); }

#define Q_ORDER 0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15

KN_INLINE __m128i q_bytes(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }

KN_INLINE void q_rows(const uint8_t *p, int64_t stride, int64_t far, int ordered, vi q[4])
{
    const vi order = _mm256_setr_epi8(Q_ORDER, Q_ORDER), top = _mm256_set1_epi8(-128);
    const uint8_t *p1 = p + far;
    vi a, b, c, d;
    KN_UNROLL
    for (int j = 0; j < 4; j++) {
        vi v = _mm256_castsi128_si256(q_bytes(p + j * stride));
        v = _mm256_inserti128_si256(v, q_bytes(p1 + j * stride), 1);
        q[j] = ordered ? v : _mm256_xor_si256(_mm256_shuffle_epi8(v, order), top);
    }
    a = _mm256_unpacklo_epi32(q[0], q[1]), b = _mm256_unpacklo_epi32(q[2], q[3]);
    c = _mm256_unpackhi_epi32(q[0], q[1]), d = _mm256_unpackhi_epi32(q[2], q[3]);
    q[0] = _mm256_unpacklo_epi64(a, b);
    q[1] = _mm256_unpackhi_epi64(a, b);
    q[2] = _mm256_unpacklo_epi64(c, d);
    q[3] = _mm256_unpackhi_epi64(c, d);
}

KN_INLINE vi q_low(vi a) { return _mm256_and_si256(a, _mm256_set1_epi8(15)); }
KN_INLINE vi q_high(vi a) { return q_low(_mm256_srli_epi16(a, 4)); }

/* Byte i of every lane; bits shifted left (n < 0: right, unsigned). */
KN_INLINE vi q_byte_of(vi a, int i)
{
    return _mm256_and_si256(_mm256_srli_epi32(a, 8 * i), _mm256_set1_epi32(255));
}
KN_INLINE vi q_left(vi a, int n)
{
    return n < 0 ? _mm256_srli_epi32(a, -n) : _mm256_slli_epi32(a, n);
}
/* e2m1 codes as bytes: 12 + 2 * value. */
KN_INLINE vi q_fp4(vi codes)
{
    const __m128i table = _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), codes);
}

/* Strips (tpl_few.h): 64 codes, 32 or 64 bytes of a row. */
#define Q_STRIP(bits) 64
#define Q_STRIP_UNITS 2
#define Q_STRIP_X     2

/* Activations as a row's codes lie: 4 bits, those of low and of high halves; 8 bits, in order. */
KN_INLINE void q_strip_x(int bits, const int8_t *q, vi x[Q_STRIP_X])
{
    const vi in_order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15));
    vi a = q_load(q), b = q_load(q + 32);
    if (HALF_BYTES(bits)) {
        __m256 p = _mm256_castsi256_ps(a), q4 = _mm256_castsi256_ps(b);
        a = _mm256_castps_si256(_mm256_shuffle_ps(p, q4, 0x88));
        b = _mm256_castps_si256(_mm256_shuffle_ps(p, q4, 0xdd));
        x[0] = _mm256_permute4x64_epi64(a, 0xd8);
        x[1] = _mm256_permute4x64_epi64(b, 0xd8);
    } else {
        x[0] = bits == 8 ? _mm256_shuffle_epi8(a, in_order) : a;
        x[1] = bits == 8 ? _mm256_shuffle_epi8(b, in_order) : b;
    }
}

/* Lane sums of 64 codes of a row, by half of them in sums[0] and [1], or in the halves of sums[0]
 * (4 bits), or all in sums[0] (units of 64). */
KN_INLINE void q_strip_row(int bits, int unit, const uint8_t *w, const vi x[Q_STRIP_X], vi sums[2])
{
    const int kind = Q_KIND(bits);
    vi a = q_load(w), b;
    if (HALF_BYTES(bits)) {
        __asm__("" : "+x"(a)); /* once: gcc would load it for each half of its bytes */
        b = q_high(a), a = q_low(a);
        if (bits == Q_E2M1) a = q_fp4(a), b = q_fp4(b);
    } else {
        b = q_load(w + 32);
        if (bits == 8) {
            const vi top = _mm256_set1_epi8(-128);
            a = _mm256_xor_si256(a, top), b = _mm256_xor_si256(b, top);
        }
    }
    a = q_mac(kind, q_zero(), a, x[0]);
    if (HALF_BYTES(bits) || (unit == 64 && Q_RUN(kind) > 1)) {
        sums[0] = q_wide(kind, q_mac(kind, a, b, x[1]));
        return;
    }
    sums[0] = q_wide(kind, a);
    sums[1] = q_wide(kind, q_mac(kind, q_zero(), b, x[1]));
    if (unit == 64) sums[0] = q_add(sums[0], sums[1]);
}

/* Sums of four rows' lanes, in each 128 bits. Up to 4 bits, what two lanes hold fits in 16 bits:
 * 16 * 15 * 127. */
KN_INLINE vi q_sum_4(int bits, const vi s[4])
{
    const vi ones = _mm256_set1_epi16(1);
    vi ab, cd;
    if (bits <= 4) {
        ab = _mm256_madd_epi16(_mm256_packs_epi32(s[0], s[1]), ones);
        cd = _mm256_madd_epi16(_mm256_packs_epi32(s[2], s[3]), ones);
        return _mm256_madd_epi16(_mm256_packs_epi32(ab, cd), ones);
    }
    ab = q_add(_mm256_unpacklo_epi32(s[0], s[1]), _mm256_unpackhi_epi32(s[0], s[1]));
    cd = q_add(_mm256_unpacklo_epi32(s[2], s[3]), _mm256_unpackhi_epi32(s[2], s[3]));
    return q_add(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
}

/* out[i][r], lane l: sum of unit i of weight row l, with row r of x. Rows as for q_rows; rows, ask,
 * lines: as for strip(). */
KN_INLINE void q_strip(int bits, int rows, int unit, const uint8_t *w, int64_t stride, int64_t far,
                       const uint8_t *ask, int lines, vi x[2][Q_STRIP_X], vi out[Q_STRIP_UNITS][2])
{
    const int sets = HALF_BYTES(bits) || unit == 64 ? 1 : 2;
    for (int r = 0; r < (rows == ONE ? 1 : 2); r++) {
        vi t[2][2];
        const uint8_t *at = w;
        KN_UNROLL
        for (int g = 0; g < 2; g++, at += far) {
            vi s[2][4];
            KN_OPAQUE(at);
            KN_UNROLL
            for (int j = 0; j < 4; j++) {
                vi sums[2];
                if (!r && j < lines) prefetch_near(ask + g * far, j * 64);
                q_strip_row(bits, unit, at + j * stride, x[r], sums);
                s[0][j] = sums[0];
                if (sets == 2) s[1][j] = sums[1];
            }
            for (int i = 0; i < sets; i++)
                t[i][g] = q_sum_4(bits, s[i]);
        }
        for (int i = 0; i < sets; i++) {
            vi lo = _mm256_permute2x128_si256(t[i][0], t[i][1], 0x20);
            vi hi = _mm256_permute2x128_si256(t[i][0], t[i][1], 0x31);
            out[i][r] = HALF_BYTES(bits) && unit == 32 ? lo : q_add(lo, hi);
            if (HALF_BYTES(bits) && unit == 32) out[1][r] = hi;
        }
    }
    for (int i = 0; i < Q_STRIP(bits) / unit && rows == TWICE; i++)
        out[i][0] = q_add(q_left(out[i][0], 7), out[i][1]);
}

KN_INLINE vf q_half(kn_dtype dtype, vi a, int high)
{
    if (dtype == KN_BF16)
        return _mm256_castsi256_ps(high ? _mm256_and_si256(a, _mm256_set1_epi32((int)0xffff0000))
                                        : _mm256_slli_epi32(a, 16));
    a = high ? _mm256_srli_epi32(a, 16) : _mm256_and_si256(a, _mm256_set1_epi32(0xffff));
    return _mm256_cvtph_ps(
        _mm_packus_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)));
}
KN_INLINE vf q_as_float(vi a) { return _mm256_castsi256_ps(a); }

/* 32 codes are 4 blocks of eight, each `bits` bytes. A 16-bit lane gets the two bytes that its
 * code lies in; a multiplication moves the code to the lane's top, a shift to its bottom. Both
 * loads together are the 4 * bits bytes and no more. */
#define Q_WIDTH(b)     ((b) < 4 ? 8 : 16)              /* of a load */
#define Q_SKIP(b)      (4 * (b)-Q_WIDTH(b))            /* where the second one starts */
#define Q_CODE(i)      ((i) < 4 ? 2 * (i) : 2 * (i)-7) /* the i-th code in order */
#define Q_AT(b, at, i) ((at) + Q_CODE(i) * (b) / 8)
/* A second byte past the load holds none of the code's bits. */
#define Q_PICK(b, at, i)                                                                           \
    (char)Q_AT(b, at, i),                                                                          \
        (char)(Q_AT(b, at, i) + 1 < Q_WIDTH(b) ? Q_AT(b, at, i) + 1 : Q_AT(b, at, i))
#define Q_PICKS(b, at)                                                                             \
    Q_PICK(b, at, 0), Q_PICK(b, at, 1), Q_PICK(b, at, 2), Q_PICK(b, at, 3), Q_PICK(b, at, 4),      \
        Q_PICK(b, at, 5), Q_PICK(b, at, 6), Q_PICK(b, at, 7)
#define Q_TIMES(b, i) (short)(1 << (16 - (b)-Q_CODE(i) * (b) % 8))
#define Q_TIMES_8(b)                                                                               \
    Q_TIMES(b, 0), Q_TIMES(b, 1), Q_TIMES(b, 2), Q_TIMES(b, 3), Q_TIMES(b, 4), Q_TIMES(b, 5),      \
        Q_TIMES(b, 6), Q_TIMES(b, 7)

KN_INLINE vi expand_16(int bits, vi both, vi pick, vi times)
{
    return _mm256_srli_epi16(_mm256_mullo_epi16(_mm256_shuffle_epi8(both, pick), times), 16 - bits);
}

#define EXPAND(b)                                                                                  \
    for (int i = 0; i < n; i += 32, p += 4 * (b)) {                                                \
        const __m128i *first = (const __m128i *)p, *second = (const __m128i *)(p + Q_SKIP(b));     \
        vi both = _mm256_set_m128i((b) < 4 ? _mm_loadl_epi64(second) : _mm_loadu_si128(second),    \
                                   (b) < 4 ? _mm_loadl_epi64(first) : _mm_loadu_si128(first));     \
        vi even = _mm256_setr_epi8(Q_PICKS(b, 0), Q_PICKS(b, 2 * (b)-Q_SKIP(b)));                  \
        vi odd = _mm256_setr_epi8(Q_PICKS(b, (b)), Q_PICKS(b, 3 * (b)-Q_SKIP(b)));                 \
        vi times = _mm256_setr_epi16(Q_TIMES_8(b), Q_TIMES_8(b));                                  \
        q_store(out + i, _mm256_packus_epi16(expand_16(b, both, even, times),                      \
                                             expand_16(b, both, odd, times)));                     \
    }

KN_INLINE void q_expand(int bits, const uint8_t *p, int n, uint8_t *out)
{
    switch (bits) {
    case 2:
        EXPAND(2)
        break;
    case 3:
        EXPAND(3)
        break;
    case 5:
        EXPAND(5)
        break;
    default:
        EXPAND(6)
    }
}

KN_INLINE void q_put16(int8_t *out, const vf x[16 / VL])
{
    vi w = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
    __m128i b;
    w = _mm256_permute4x64_epi64(w, 0xd8); /* 16 words, in their order */
    b = _mm_packs_epi16(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
    _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(b, _mm_setr_epi8(Q_ORDER)));
}

#endif
