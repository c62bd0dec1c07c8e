// SPDX-License-Identifier: Apache-2.0

// gitops makes one sync of an Argo CD application that tracks its resources by label and prunes: by Argo CD's own engine,
// with the way of Argo CD to tell what belongs to an application.
//
//	gitops NAME NAMESPACE <manifests.yaml
//
// It prints one line of JSON per resource: {"kind", "name", "status", "message"}. KUBECONFIG names the cluster.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/argoproj/gitops-engine/pkg/cache"
	"github.com/argoproj/gitops-engine/pkg/engine"
	"github.com/argoproj/gitops-engine/pkg/sync"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	label    = "app.kubernetes.io/instance"
	deadline = 90 * time.Second
)

type outcome struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gitops NAME NAMESPACE <manifests.yaml")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gitops:", err)
		os.Exit(1)
	}
}

func run(name, namespace string, in io.Reader, out io.Writer) error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 50, 100
	manifests, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	targets, err := kube.SplitYAML(manifests)
	if err != nil {
		return err
	}
	for _, target := range targets {
		labels := target.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[label] = name
		target.SetLabels(labels)
		target.SetNamespace(namespace)
	}
	clusterCache := cache.NewClusterCache(config,
		cache.SetNamespaces([]string{namespace}),
		cache.SetLogr(logr.Discard()),
		cache.SetPopulateResourceInfoHandler(
			func(object *unstructured.Unstructured, _ bool) (interface{}, bool) {
				application := object.GetLabels()[label]
				return application, application != ""
			}),
	)
	argo := engine.NewEngine(config, clusterCache, engine.WithLogr(logr.Discard()))
	stop, err := argo.Run()
	if err != nil {
		return err
	}
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	isManaged := func(resource *cache.Resource) bool { return resource.Info == name }
	results, err := argo.Sync(ctx, targets, isManaged, "1", namespace,
		sync.WithPrune(true), sync.WithLogr(logr.Discard()))
	encoder := json.NewEncoder(out)
	for _, result := range results {
		key := result.ResourceKey
		if err := encoder.Encode(outcome{key.Kind, key.Name, string(result.Status), result.Message}); err != nil {
			return err
		}
	}
	return err
}
