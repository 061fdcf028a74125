/* int8_amx.h: a panel times rows of bytes by AMX tiles: 16 rows of x, 16 weight rows and a unit of
 * k at a time. Included by kernels_avx512.c, whose kernels the table "amx" shares but for this one.
 *
 *   x       a tile as its rows lie in memory, a unit wide
 *   codes   a tile of a panel's half: [k/4][row][4] is the order that the instruction wants
 *   sums    a tile of whole sums, exact, stored and scaled as in dots(): the bits are those of the
 *           other sets, for every number of rows
 *
 * The tiles' shapes are a thread's state: set before the first tile of a call and released after
 * the last one, so that a thread that waits carries none. Source: Intel's Architecture Instruction
 * Set Extensions reference, chapter 3 (palette 1: eight tiles of 16 rows of 64 bytes). */
#ifndef KERNELS_INT8_AMX_H
#define KERNELS_INT8_AMX_H

#define AMX      __attribute__((target("amx-tile,amx-int8")))
#define AMX_ROWS 16
#define AMX_FROM 24 /* rows of bytes from which on tiles are used */

/* Names of registers: the compilers paste them. */
#define TILE_SUMS  0
#define TILE_X     1
#define TILE_CODES 2

typedef struct amx_shapes {
    uint8_t palette, start_row, none[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} amx_shapes;
_Static_assert(sizeof(amx_shapes) == 64, "what ldtilecfg reads");

AMX static void set_shapes(int rows, int unit)
{
    const amx_shapes s = {
        .palette = 1,
        .row_bytes = {[TILE_SUMS] = 64, [TILE_X] = (uint16_t)unit, [TILE_CODES] = 64},
        .rows = {[TILE_SUMS] = (uint8_t)rows,
                 [TILE_X] = (uint8_t)rows,
                 [TILE_CODES] = (uint8_t)(unit / 4)}};
    _tile_loadconfig(&s);
}

/* Whole sums of 16 weight rows (half a panel) and the rows of x, of the unit that starts at u. */
AMX KN_INLINE void amx_unit(const kn_panel *p, int half, const kn_bytes *x, int u, int32_t *sums)
{
    _tile_zero(TILE_SUMS);
    _tile_loadd(TILE_X, x->q + u, x->ldq);
    _tile_loadd(TILE_CODES, p->codes + (u * 2 + half * 4) * VL, Q_NP * 4);
    _tile_dpbsud(TILE_SUMS, TILE_X, TILE_CODES);
    _tile_stored(TILE_SUMS, sums, VL * 4);
}

/* c[0 .. rows-1, half a panel] += the block's share. bytes: rows of a row of x, 1 or 2; most: rows
 * of x that a tile has room for, 8 or 16 rows of bytes, rows <= most. by: of each row and unit its
 * scale and scale * sum, Q_BY apart from row to row; whatever beyond `rows`. What a tile gives
 * comes late, so two units are under way while a third one is scaled. */
AMX KN_INLINE void amx_half(int most, int bytes, int rows, int unit, int shift, const kn_panel *p,
                            int half, int kn, const kn_bytes *x, const float *by,
                            const kn_next *next, float *c, int64_t ldc)
{
    _Alignas(64) int32_t room[4][AMX_ROWS * VL];
    vf to[AMX_ROWS];
    if (rows < most) memset(room, 0, sizeof room); /* what no tile writes is scaled too */
    for (int u = 0; u < 2 * unit && u < kn; u += unit)
        amx_unit(p, half, x, u, room[u / unit]);
    KN_UNROLL_16
    for (int r = 0; r < most; r++)
        to[r] = v_load(c + (r < rows ? r : rows - 1) * ldc);
    for (int u = 0, i = 0; u < kn; u += unit, by += 2, i++) {
        const float *groups = p->groups + (u >> shift) * 2 * Q_NP + half * VL;
        const vf s = v_load(groups), b = v_load(groups + Q_NP);
        const int32_t *sums = room[i & 3];
        if (!half) ask_next(next, i, kn / unit);
        if (u + 2 * unit < kn) amx_unit(p, half, x, u + 2 * unit, room[(i + 2) & 3]);
        KN_UNROLL_16
        for (int r = 0; r < most; r++) {
            vi sum = q_load(sums + r * bytes * VL);
            vf t;
            if (bytes == 2) sum = q_pair(sum, q_load(sums + (2 * r + 1) * VL));
            t = v_mul(q_float(sum), v_set(by[r * Q_BY]));
            to[r] = v_fma(v_set(by[r * Q_BY + 1]), b, v_fma(t, s, to[r]));
        }
    }
    KN_UNROLL_16
    for (int r = 0; r < most; r++)
        if (r < rows) v_store(c + r * ldc, to[r]);
}

#define AMX_ROWS_OF(most, bytes)                                                                   \
    AMX static void amx_##most##_##bytes(int rows, int unit, int shift, const kn_panel *p, int kn, \
                                         const kn_bytes *x, const float *by, const kn_next *next,  \
                                         float *c, int64_t ldc)                                    \
    {                                                                                              \
        amx_half(most, bytes, rows, unit, shift, p, 0, kn, x, by, next, c, ldc);                   \
        amx_half(most, bytes, rows, unit, shift, p, 1, kn, x, by, next, c + VL, ldc);              \
    }
AMX_ROWS_OF(8, 1)
AMX_ROWS_OF(16, 1)
AMX_ROWS_OF(4, 2)
AMX_ROWS_OF(8, 2)

AMX static void amx_bytes(const kn_matrix *w, const kn_panel *p, int kn, const kn_bytes *x, int m,
                          kn_next next, float *c, int64_t ldc)
{
    const int unit = kn_unit(w), shift = group_shift(w), most = AMX_ROWS >> x->twice;
    int left = (m + most - 1) / most, shaped = 0; /* tiles of nearly equal height */
    float by[AMX_ROWS * Q_BY];
    kn_bytes at = *x;
    memset(by, 0, sizeof by);
    for (; left; left--) {
        int rows = (m + left - 1) / left;
        if (rows != shaped) set_shapes(rows << x->twice, unit);
        shaped = rows;
        for (int r = 0; r < rows; r++)
            memcpy(by + r * Q_BY, at.by + r * at.ldby, (size_t)(kn / unit * 2) * sizeof *by);
        (x->twice   ? rows > 4 ? amx_8_2 : amx_4_2
         : rows > 8 ? amx_16_1
                    : amx_8_1)(rows, unit, shift, p, kn, &at, by, &next, c, ldc);
        next.rows.p = NULL;
        at.q += (rows << x->twice) * at.ldq;
        at.by += rows * at.ldby;
        c += rows * ldc;
        m -= rows;
    }
    _tile_release();
}

static void dot_bytes_amx(const kn_matrix *w, const kn_rows *rows, int64_t k0, int kn, kn_panel *p,
                          const kn_bytes *x, int m, float *c)
{
    kn_next next = next_of(w, rows, k0, kn);
    if (m << x->twice < AMX_FROM) {
        dot_bytes(w, rows, k0, kn, p, x, m, c);
        return;
    }
    pack_panels(w, rows, k0, kn, p);
    for (int i = 0; i < rows->panels; i++, next.rows.p = NULL)
        amx_bytes(w, p + i, kn, x, m, next, c + i * Q_NP, (int64_t)rows->panels * Q_NP);
}

#endif
