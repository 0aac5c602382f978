#!/bin/sh
# Makes an authority and certificates that it signs, for a Dask cluster (docs/guides/cluster.md).
#
#   sh docs/make_certificates.sh DIR [NAME ...]
#
# writes DIR/ca.pem, and DIR/NAME.pem with its key DIR/NAME-key.pem for each NAME, by default
# scheduler, worker and client. DIR/ca-key.pem signs: with it there, further names can be added.
set -eu
umask 077
days=365
[ "$#" -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
shift
[ "$#" -ge 1 ] || set -- scheduler worker client

make_key() {
    openssl req -config request.cnf -new -newkey rsa:3072 -nodes -subj "/CN=$1" \
        -keyout "$1-key.pem" -out "$1.csr" 2> /dev/null
}


trap 'rm -f request.cnf extensions.cnf ./*.csr' EXIT
cat > request.cnf << END
[req]
distinguished_name = name
[name]
END
cat > extensions.cnf << END
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[member]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END

if [ ! -f ca-key.pem ]; then
    make_key ca
    openssl x509 -req -sha256 -days "$days" -in ca.csr -signkey ca-key.pem \
        -extfile extensions.cnf -extensions authority -out ca.pem 2> /dev/null
fi
for name; do
    make_key "$name"
    openssl x509 -req -sha256 -days "$days" -in "$name.csr" -CA ca.pem -CAkey ca-key.pem \
        -set_serial "0x$(openssl rand -hex 16)" \
        -extfile extensions.cnf -extensions member -out "$name.pem" 2> /dev/null
    echo "$PWD/$name.pem"
done
