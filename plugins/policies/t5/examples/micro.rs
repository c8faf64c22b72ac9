use std::time::Instant;
use tch::{Device, Kind, Tensor};
fn best(name: &str, flop: f64, mut f: impl FnMut() -> Tensor) {
    let mut m = f64::MAX;
    for _ in 0..40 {
        let t = Instant::now();
        let _r = f();
        m = m.min(t.elapsed().as_secs_f64());
    }
    println!("{name:40} {:8.3} ms {:7.1} GFLOP/s", m * 1e3, flop / m / 1e9);
}
fn r(s: &[i64]) -> Tensor {
    Tensor::randn(s, (Kind::Float, Device::Cpu))
}
fn main() {
    tch::set_num_threads(std::env::args().nth(1).and_then(|v| v.parse().ok()).unwrap_or(2));
    let _g = tch::no_grad_guard();
    for (m, k, n) in [
        (512, 128, 768),
        (512, 256, 128),
        (512, 128, 512),
        (512, 512, 128),
        (6656, 128, 768),
        (6656, 128, 512),
        (6656, 512, 128),
        (6656, 256, 128),
        (6656, 128, 257),
        (11520, 128, 768),
    ] {
        let (a, b) = (r(&[m, k]), r(&[n, k]));
        best(&format!("linear {m} {k} {n}"), 2.0 * (m * k * n) as f64, || a.linear(&b, None::<&Tensor>));
    }
    let (a, b, x) = (r(&[6656, 512]), r(&[128, 512]), r(&[6656, 128]));
    best("addmm residual 6656 512 128", 2.0 * 6656. * 512. * 128., || x.addmm(&a, &b.tr()));
    let g = r(&[6656, 128]);
    best("dW 512x128", 2.0 * 6656. * 512. * 128., || g.tr().mm(&a));
    for t in [1, 13, 40] {
        let (q, k) = (r(&[2048, 1, 64]), r(&[2048, t, 64]));
        best(&format!("bmm gemv t {t}"), 2.0 * 2048. * 64. * t as f64, || q.bmm(&k.transpose(1, 2)));
        let p = r(&[2048, 1, t]);
        best(&format!("bmm gemv pv t {t}"), 2.0 * 2048. * 64. * t as f64, || p.bmm(&k));
        let (q4, k4) = (r(&[512, 4, 1, 64]), r(&[512, 4, 40, 64]).narrow(2, 0, t));
        best(&format!("sdpa gemv t {t}"), 4.0 * 2048. * 64. * t as f64, || {
            Tensor::scaled_dot_product_attention(&q4, &k4, &k4, None::<&Tensor>, 0.0, false, 1.0, false)
        });
        let (q, k) = (r(&[128, 16, 64]), r(&[128, 16 * 40, 64]).narrow(1, 0, 16 * t));
        best(&format!("block bmm t {t}"), 2.0 * 128. * 64. * 256. * t as f64, || q.bmm(&k.transpose(1, 2)));
        let p = r(&[128, 16, 16 * t]);
        best(&format!("block bmm pv t {t}"), 2.0 * 128. * 64. * 256. * t as f64, || p.bmm(&k));
        best(&format!("block softmax t {t}"), 0.0, || p.softmax(-1, Kind::Float));
        let m = r(&[32, 1, 16, 16 * t]);
        let p4 = p.view([32, 4, 16, 16 * t]);
        best(&format!("block mask add t {t}"), 0.0, || &p4 + &m);
        let (q4, k4) = (r(&[32, 4, 16, 64]), r(&[32, 4, 640, 64]).narrow(2, 0, 16 * t));
        best(&format!("block sdpa t {t}"), 4.0 * 128. * 64. * 256. * t as f64, || {
            Tensor::scaled_dot_product_attention(&q4, &k4, &k4, Some(&m), 0.0, false, 1.0, false)
        });
    }
    // cross
    let (q, k) = (r(&[128, 208, 64]), r(&[128, 45, 64]));
    best("cross bmm 208x45", 2. * 128. * 208. * 45. * 64., || q.bmm(&k.transpose(1, 2)));
    let m = r(&[32, 1, 1, 45]);
    let s = q.bmm(&k.transpose(1, 2));
    best("cross softmax", 0., || s.softmax(-1, Kind::Float));
    best("cross pv", 2. * 128. * 208. * 45. * 64., || s.bmm(&k));
    let q4 = r(&[32, 208, 4, 64]).transpose(1, 2);
    let k4 = r(&[32, 45, 4, 64]).transpose(1, 2);
    best("cross sdpa strided", 4. * 128. * 208. * 45. * 64., || {
        Tensor::scaled_dot_product_attention(
            &q4,
            &k4,
            &k4,
            Some(&m.expand([32, 4, 208, 45], false)),
            0.0,
            false,
            1.0,
            false,
        )
    });
    best("contiguous q", 0., || q4.contiguous());
    // cross at step
    let q4 = r(&[32, 16, 4, 64]).transpose(1, 2);
    best("cross step sdpa", 4. * 128. * 16. * 45. * 64., || {
        Tensor::scaled_dot_product_attention(
            &q4,
            &k4,
            &k4,
            Some(&m.expand([32, 4, 16, 45], false)),
            0.0,
            false,
            1.0,
            false,
        )
    });
    let (q, k) = (r(&[128, 16, 64]), r(&[128, 45, 64]));
    best("cross step bmm", 2. * 128. * 16. * 45. * 64., || q.bmm(&k.transpose(1, 2)));
    // self attention training
    let (q, k) = (r(&[2048, 13, 64]), r(&[2048, 13, 64]));
    best("self bmm 13x13", 2. * 2048. * 13. * 13. * 64., || q.bmm(&k.transpose(1, 2)));
    let s = q.bmm(&k.transpose(1, 2));
    best("self softmax", 0., || s.softmax(-1, Kind::Float));
    best("self pv", 2. * 2048. * 13. * 13. * 64., || s.bmm(&k));
    let b = r(&[4, 13, 13]);
    best("self bias add", 0., || s.view([512, 4, 13, 13]) + &b);
    let q4 = r(&[512, 13, 12, 64]).transpose(1, 2);
    let (q4, k4, v4) = (q4.narrow(1, 0, 4), q4.narrow(1, 4, 4), q4.narrow(1, 8, 4));
    best("self sdpa strided", 4. * 2048. * 13. * 13. * 64., || {
        Tensor::scaled_dot_product_attention(
            &q4,
            &k4,
            &v4,
            Some(&b.unsqueeze(0).expand([512, 4, 13, 13], false)),
            0.0,
            false,
            1.0,
            false,
        )
    });
    // norm
    let x = r(&[6656, 128]);
    let w = r(&[128]);
    best("rms_norm", 0., || x.rms_norm([128], Some(&w), 1e-6));
    best("fused_rms", 0., || x.internal_fused_rms_norm([128], Some(&w), 1e-6).0);
    best("own rms", 0., || &x * (x.square().mean_dim(-1, true, Kind::Float) + 1e-6).rsqrt());
    best("own norm rms", 0., || {
        &x * ((x.norm_scalaropt_dim(2.0, [-1i64].as_slice(), true)).square() / 128.0 + 1e-6).rsqrt()
    });
    best("vector_norm", 0., || x.norm_scalaropt_dim(2.0, [-1i64].as_slice(), true));
    best("layer_norm", 0., || x.layer_norm([128], Some(&w), Some(&w), 1e-6, false));
    let f = r(&[6656, 512]);
    best("relu", 0., || f.relu());
    best("relu_", 0., || f.shallow_clone().relu_());
    best("dropout", 0., || f.dropout(0.1, true));
    best("bernoulli bool", 0., || f.empty_like().to_kind(Kind::Bool).bernoulli_float_(0.9));
    best("random_ u8", 0., || Tensor::empty([6656, 512], (Kind::Uint8, Device::Cpu)).random_());
    best("random_ i64", 0., || Tensor::empty([6656, 64], (Kind::Int64, Device::Cpu)).random_());
    best("uniform", 0., || f.shallow_clone().uniform_(0.0, 1.0));
    let l = r(&[512, 257]);
    best("multinomial 512x257", 0., || l.exp().multinomial(1, true));
    best("exponential 512x257", 0., || l.empty_like().exponential_(1.0));
    best("rand 512x257", 0., || l.empty_like().uniform_(0., 1.));
    best("cumsum 512x257", 0., || l.cumsum(-1, Kind::Float));
    best("log_softmax 512x257", 0., || l.log_softmax(-1, Kind::Float));
    let l = r(&[640, 1027]);
    best("topk 64x10270", 0., || l.view([64, 10270]).topk(20, -1, true, true).0);
    best("topk 640x1027", 0., || l.topk(20, -1, true, true).0);
    best("topk 640x257", 0., || l.narrow(1, 0, 257).contiguous().topk(20, -1, true, true).0);
}
