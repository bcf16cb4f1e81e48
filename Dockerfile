# A static binary in an empty image, run by a user without rights.
FROM rust:1-alpine AS build
# The C compiler is for the TLS provider and the sandbox's database.
RUN apk add --no-cache build-base ca-certificates
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY src src
# Tests are declared in Cargo.toml; only their names are needed to build the binary.
RUN mkdir -p tests/kube tests/bench && touch tests/main.rs tests/kube/main.rs tests/bench/main.rs \
    && cargo build --release --locked --bin fusionkeep \
    && cp target/release/fusionkeep /fusionkeep

FROM scratch
LABEL org.opencontainers.image.source="https://github.com/fusionkeep/fusionkeep" \
    org.opencontainers.image.licenses="Apache-2.0"
# Whom FusionAuth's certificate is judged by, besides an instance's tls.caBundle.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /fusionkeep /fusionkeep
USER 65532:65532
ENTRYPOINT ["/fusionkeep"]
CMD ["operator"]
