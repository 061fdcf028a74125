/* tpl_math.h: exp, tanh and the activations on vectors. Included once an instruction set.
 *
 * All are written to keep relative accuracy (some ulp) over the whole range and to give NaN for
 * NaN; results below the smallest normal number keep what a denormal can hold. */
#ifndef KERNELS_TPL_MATH_H
#define KERNELS_TPL_MATH_H

/* e^x. x = n ln2 + r, |r| <= ln2 / 2, e^r by its series up to r^7 (next term: 5e-9 of the value);
 * ln2 in two parts, so that r is exact to 2^-33 or so (Cody and Waite). */
KN_INLINE vf v_exp(vf x)
{
    vf n, r, p;
    x = v_max(v_set(-110.0f), v_min(v_set(90.0f), x)); /* second operand: NaN stays */
    n = v_round(v_mul(x, v_set(0x1.715476p+0f)));
    r = v_fnma(n, v_set(0x1.62e400p-1f), x);
    r = v_fnma(n, v_set(0x1.7f7d1cp-20f), r);
    p = v_set(1.0f / 5040);
    p = v_fma(p, r, v_set(1.0f / 720));
    p = v_fma(p, r, v_set(1.0f / 120));
    p = v_fma(p, r, v_set(1.0f / 24));
    p = v_fma(p, r, v_set(1.0f / 6));
    p = v_fma(p, r, v_set(0.5f));
    p = v_fma(v_mul(r, r), p, r);
    return v_ldexp(v_add(p, v_set(1)), n);
}

#define LOG2_E 1.44269504f

/* 2^x for x <= 127; 0 or denormal below 2^-126, 0 below 2^-151. 2^x = 2^n 2^r; 2^r by polynomials
 * of our own fit (greatest error 2e-9 of the value), exactly 1 at r = 0: V_REDUCE has
 * r = x - floor(x) and p 2^floor(x) in one instruction each, else |r| <= 1/2. V_POW2 has 2^n for
 * n > -127, else 0. */
KN_INLINE vf v_exp2(vf x)
{
#ifdef V_REDUCE
    static const float P[] = {0x1.c5417cp-13f, 0x1.46d64ap-10f, 0x1.3d0b92p-7f,
                              0x1.c68912p-5f,  0x1.ebfd58p-3f,  0x1.62e42cp-1f};
    vf r = v_fraction(x), p = v_set(P[0]);
#else
    static const float P[] = {0x1.41fbbcp-13f, 0x1.5f3e54p-10f, 0x1.3b2d4cp-7f,
                              0x1.c6aee8p-5f,  0x1.ebfbdcp-3f,  0x1.62e430p-1f};
    vf n, r, p = v_set(P[0]);
#ifdef V_POW2
    x = v_max(v_set(-127.0f), x); /* second operand: NaN stays */
#else
    x = v_max(v_set(-160.0f), x);
#endif
    n = v_round(x);
    r = v_sub(x, n);
#endif
    KN_UNROLL
    for (int i = 1; i < 6; i++)
        p = v_fma(p, r, v_set(P[i]));
    p = v_fma(p, r, v_set(1));
#ifdef V_REDUCE
    return v_times_2(p, x);
#elif defined(V_POW2)
    return v_mul(p, v_pow2(n));
#else
    return v_ldexp(p, n);
#endif
}

#ifndef V_ANY_ABOVE
KN_INLINE int v_any_above(vf a, vf b)
{
    return v_greatest(v_if_less(b, a, v_set(1), v_zero())) > 0;
}
#endif

/* tanh x. Near 0 Lambert's continued fraction, cut at degree 7 (error below 2^-30 to 0.6);
 * elsewhere 1 - 2 / (e^2|x| + 1) with x's sign. */
KN_INLINE vf v_tanh(vf x)
{
    vf a = v_abs(x), xx = v_mul(x, x), num, den, far;
    num = v_fma(v_add(xx, v_set(378)), xx, v_set(17325));
    num = v_mul(x, v_fma(num, xx, v_set(135135)));
    den = v_fma(v_fma(v_set(28), xx, v_set(3150)), xx, v_set(62370));
    den = v_fma(den, xx, v_set(135135));
    far = v_div(v_set(2), v_add(v_exp(v_add(a, a)), v_set(1)));
    far = v_sign(v_sub(v_set(1), far), x);
    return v_if_less(a, v_set(0.6f), v_div(num, den), far);
}

/* x / (1 + e^-z): e^-|z| cannot overflow, so the far negative side keeps its value. */
KN_INLINE vf v_gate(vf x, vf z)
{
    vf e = v_exp(v_sub(v_zero(), v_abs(z)));
    vf top = v_if_less(z, v_zero(), v_mul(x, e), x);
    return v_div(top, v_add(v_set(1), e));
}

/* x / 2 * erfc(-x / sqrt 2). erfc(z) e^(z^2) = t P(t - 1/2), t = 1 / (1 + z / 2), z >= 0: P is our
 * own least-squares fit over 0 <= z <= 10.5 (degree 10, error 4e-9). z^2 is split, since its
 * rounding error would be multiplied by z^2. */
KN_INLINE vf v_gelu(vf x)
{
    static const float P[] = {0.03671173f, -0.01304264f, -0.07591359f, 0.05350079f,
                              0.09798009f, -0.10363464f, -0.1720434f,  0.1457678f,
                              0.5589435f,  0.6871607f,   0.51079136f};
    vf z = v_mul(v_abs(x), v_set(0.70710678f)), t, u, p, zz, rest, tail;
    z = v_min(v_set(12.0f), z);
    t = v_div(v_set(1), v_fma(v_set(0.5f), z, v_set(1)));
    u = v_sub(t, v_set(0.5f));
    p = v_set(P[0]);
    for (int i = 1; i < 11; i++)
        p = v_fma(p, u, v_set(P[i]));
    zz = v_mul(z, z);
    rest = v_fnma(z, z, zz); /* zz - z^2, exact with a real fma */
    tail = v_mul(v_exp(v_sub(v_zero(), zz)), v_mul(t, p));
    tail = v_fma(tail, rest, tail); /* erfc(z) */
    tail = v_mul(v_set(0.5f), tail);
    return v_mul(x, v_if_less(x, v_zero(), tail, v_sub(v_set(1), tail)));
}

KN_INLINE vf v_act(kn_act act, vf x)
{
    vf u;
    switch (act) {
    case KN_SILU:
        return v_gate(x, x);
    case KN_GELU:
        return v_gelu(x);
    case KN_GELU_TANH: /* (1 + tanh u) / 2 = 1 / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3) */
        u = v_fma(v_mul(v_set(0.044715f), x), v_mul(x, x), x);
        return v_gate(x, v_mul(v_set(1.5957691f), u));
    default:
        return v_max(v_zero(), x);
    }
}

#endif
