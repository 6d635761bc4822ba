package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hubtwin/hubtwin/client"
)

type certificateCommands struct {
	List    certificateList    `cmd:"" help:"List the certificate authorities of the hub by name."`
	Show    certificateShow    `cmd:"" help:"Print one of them."`
	Add     certificateAdd     `cmd:"" help:"Let devices in by certificates of an authority."`
	Verify  certificateVerify  `cmd:"" help:"Prove that you have the key of an authority."`
	Enable  certificateEnable  `cmd:"" help:"Let its devices in again."`
	Disable certificateDisable `cmd:"" help:"Let its devices in no more, and end their connections."`
	Delete  certificateDelete  `cmd:"" help:"Forget an authority, and end the connections of its devices."`
}

type certificateList struct {
	connection
	output
}

func (certificateList) Help() string { return exits }

// Run prints one authority a line.
func (cmd certificateList) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	list, err := hub.Certificates(ctx)
	if err != nil {
		return explained(err)
	}
	if cmd.json() {
		for _, one := range list {
			if err := cmd.printValue(c, one); err != nil {
				return err
			}
		}
		return nil
	}
	t := table{w: c.out, headers: []string{"NAME", "STATE", "EXPIRES", "SUBJECT"}}
	var rows [][]string
	for _, one := range list {
		p := one.Properties
		subject, err := json.Marshal(p.Subject)
		if err != nil {
			return err
		}
		rows = append(rows, []string{one.Name, certificateState(p), p.Expiry.Format(time.DateOnly), cell(subject)})
	}
	return t.print(rows)
}

// certificateState is whether an authority counts, and if not, why.
func certificateState(p client.CertificateProperties) string {
	switch {
	case !p.IsEnabled:
		return "disabled"
	case !p.IsVerified:
		return "unverified"
	}
	return "enabled"
}

// oneCertificate is what commands about one authority have, which print it.
type oneCertificate struct {
	connection
	output
	Name string `arg:"" help:"Name of the certificate."`
}

func (oneCertificate) Help() string { return exits }

// call makes a call and prints the authority that it gives.
func (f oneCertificate) call(c console, call func(*client.Client) (client.Certificate, error)) error {
	hub, err := f.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	of, err := call(hub)
	if err != nil {
		return explained(err)
	}
	return f.printValue(c, of)
}

type certificateShow struct{ oneCertificate }

// Run prints the authority.
func (cmd certificateShow) Run(ctx context.Context, c console) error {
	return cmd.call(c, func(hub *client.Client) (client.Certificate, error) {
		return hub.Certificate(ctx, cmd.Name)
	})
}

type certificateAdd struct {
	connection
	output
	Name     string `arg:"" help:"What to call it: 1 to 64 letters, digits and . _ -."`
	File     string `arg:"" help:"The authority's certificate, PEM or DER; - is standard input. The key is not needed."`
	Verified bool   `help:"It is known to be ours: let devices in at once, without a proof."`
}

func (certificateAdd) Help() string {
	return `Whoever has the authority's key can make a certificate for any device of type certificateAuthority. So the hub wants a proof that the key is in your hands: it gives a verification code, and you sign a certificate that has it as common name. --verified spares you that.

Examples:
  hubtwin certificate add plant ca.pem
  hubtwin certificate add plant ca.pem --verified

` + exits
}

// Run registers the authority and prints it, and says what is to be done next.
func (cmd certificateAdd) Run(ctx context.Context, c console) error {
	text, err := readFile(c.in, cmd.File)
	if err != nil {
		return err
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	added, err := hub.AddCertificate(ctx, cmd.Name, text, cmd.Verified)
	if err != nil {
		return explained(err)
	}
	if err := cmd.printValue(c, added); err != nil {
		return err
	}
	if !cmd.Verified {
		fmt.Fprintf(c.err, "It does not count yet. Sign a certificate with the common name %s, and give it to hubtwin certificate verify %s FILE\n", added.Properties.VerificationCode, cmd.Name)
	}
	return nil
}

type certificateVerify struct {
	oneCertificate
	File string `arg:"" help:"The proof, PEM or DER: a certificate that the authority has signed, with the verification code as common name; - is standard input."`
}

func (certificateVerify) Help() string {
	return `The verification code is in what "certificate show" prints, until the certificate is verified.

Examples:
  code=$(hubtwin certificate show plant -o json | jq -r .properties.verificationCode)
  openssl req -new -newkey rsa:2048 -nodes -keyout proof.key -subj "/CN=$code" | openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -out proof.pem
  hubtwin certificate verify plant proof.pem

` + exits
}

// Run proves and prints the authority.
func (cmd certificateVerify) Run(ctx context.Context, c console) error {
	proof, err := readFile(c.in, cmd.File)
	if err != nil {
		return err
	}
	return cmd.call(c, func(hub *client.Client) (client.Certificate, error) {
		return hub.VerifyCertificate(ctx, cmd.Name, proof)
	})
}

type certificateEnable struct{ oneCertificate }

// Run enables the authority and prints it.
func (cmd certificateEnable) Run(ctx context.Context, c console) error {
	return cmd.call(c, func(hub *client.Client) (client.Certificate, error) {
		return hub.EnableCertificate(ctx, cmd.Name, true)
	})
}

type certificateDisable struct{ oneCertificate }

// Run disables the authority and prints it.
func (cmd certificateDisable) Run(ctx context.Context, c console) error {
	return cmd.call(c, func(hub *client.Client) (client.Certificate, error) {
		return hub.EnableCertificate(ctx, cmd.Name, false)
	})
}

type certificateDelete struct {
	connection
	Name string `arg:"" help:"Name of the certificate."`
}

func (certificateDelete) Help() string { return exits }

// Run deletes. It prints nothing.
func (cmd certificateDelete) Run(ctx context.Context) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	return explained(hub.DeleteCertificate(ctx, cmd.Name))
}
